"""`highwayman top`: the arms as a live table in the terminal."""

import asyncio
import os
from pathlib import Path
from typing import Any

import aiohttp
import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from highwayman.env.errors import HighwaymanError
from highwayman.serving.cli.context import STATE_DIR
from highwayman.serving.cli.router.router_options import DEFAULT_PORT
from highwayman.serving.state.local_state import state_folder
from highwayman.serving.state.operator_key import local_key

_HOW_TO_START = "start one: highwayman up (from its repository: make run)"
_EVERY_S = 0.5
_STATES = {"draining": "draining", "probation": "on probation"}  # of arms, and how they are told


class RouterUnreachable(HighwaymanError):
    """No router answers at the address given."""


@click.command()
@click.option("--url", default=f"http://127.0.0.1:{DEFAULT_PORT}", show_default=True, help="The router's address.")
@click.option("--state-dir", type=STATE_DIR, help="Of the router, whose operator's key stands there.")
@click.option("--once", is_flag=True, help="Print the table once and end.")
def top(url: str, state_dir: Path | None, once: bool) -> None:
    """Watch the arms: share, quality, cost, latency, feedback. Where keys are needed, HIGHWAYMAN_API_KEY is one."""
    key = os.environ.get("HIGHWAYMAN_API_KEY") or local_key(url, state_dir or state_folder())
    asyncio.run(run_top(url, once=once, api_key=key))


async def run_top(url: str, *, once: bool, api_key: str | None) -> None:
    """Draw the table at `url` until interrupted, or once. Raises RouterUnreachable."""
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    async with aiohttp.ClientSession(url, headers=headers) as session:
        table = arms_table(await _policy(session, url))
        if once:
            Console().print(table)
            return
        with Live(table, auto_refresh=False) as live:
            while True:
                live.update(arms_table(await _policy(session, url)), refresh=True)
                await asyncio.sleep(_EVERY_S)


async def _policy(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    try:
        async with session.get("/v1/policy") as response:
            policy: dict[str, Any] = await response.json()
    except (aiohttp.ClientError, ValueError) as error:
        raise RouterUnreachable(f"no router answers at {url} ({type(error).__name__}); {_HOW_TO_START}") from error
    if response.status != 200:
        raise RouterUnreachable(f"{url} answered {response.status}: {policy.get('error', {}).get('message')}")
    return policy


def arms_table(policy: dict[str, Any]) -> Table:
    """Return the table of what `GET /v1/policy` answered."""
    has_failures = any(arm.get("failures") or arm.get("resting") for arm in policy["arms"].values())
    # Eighty columns hold all of it: no lines between, and closer together where failures are told, too.
    table = Table(
        title=f"{policy['policy'].rpartition(':')[2]}, version {policy['version']}",
        box=None,
        padding=(0, 1 if has_failures else 2, 0, 0),
        pad_edge=False,
    )
    table.add_column("arm", overflow="fold", min_width=7)
    failures = ("failures",) if has_failures else ()  # a terminal is narrow
    for name in ("share", "recent", "calls", *failures, "rated", "quality (95%)", "$/1k", "takes"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, arm in policy["arms"].items():
        table.add_row(name, *_cells(arm, has_failures=has_failures))
    table.caption, table.caption_justify, table.caption_style = "\n".join(_troubles(policy["arms"])) or None, "left", ""
    return table


def _troubles(arms: dict[str, dict[str, Any]]) -> list[str]:
    """Return which arms do not take traffic as others do, and why, a line for each reason."""
    down = {name: f"{name} ({arm['unwell']})" for name, arm in arms.items() if arm.get("unwell")}
    resting = [
        f"{name} ({len(arm['resting'])} of {len(arm.get('replicas', arm['resting']))})"
        for name, arm in arms.items()
        if arm.get("resting") and name not in down
    ]
    in_state = {state: [name for name, arm in arms.items() if arm.get("state") == state] for state in _STATES}
    lines = {**{told: in_state[state] for state, told in _STATES.items()}, "down": [*down.values()], "resting": resting}
    return [f"{what}: {', '.join(names)}" for what, names in lines.items() if names]


def _cells(arm: dict[str, Any], *, has_failures: bool) -> list[str]:
    quality = "-" if arm["quality"] is None else f"{arm['quality']:.2f}"
    calls = arm["decisions"]
    return [
        f"{arm['share']:.0%}",
        f"{arm['recent_share']:.0%}",
        _count(calls),
        *([f"{_count(arm.get('failures'))} ({_chance(arm)})"] if has_failures else []),
        _count(arm["feedback"]),
        f"{quality} ({arm['quality_low']:.2f}-{arm['quality_high']:.2f})",
        _short(1000 * arm["cost_usd"] / calls, digits=4) if calls else "-",
        f"{_short(arm['latency_s'], digits=2)} s" if arm["latency_s"] is not None else "-",
    ]


def _count(number: int | None) -> str:
    """Return a whole number in up to four characters: a terminal is narrow."""
    if number is None or number < 10_000:
        return "-" if number is None else str(number)
    return f"{number / 1e3:.0f}k" if number < 1e6 else f"{number / 1e6:.{1 if number < 1e7 else 0}f}M"


def _short(number: float, *, digits: int) -> str:
    """Return a number with so many digits behind the point below 10, and with three in all above."""
    return f"{number:.{digits}f}" if number < 10 else f"{number:.{1 if number < 100 else 0}f}"


def _chance(arm: dict[str, Any]) -> str:
    """Return how likely it answers, and how many of its endpoints rest; a router of before tells neither."""
    chance, resting = arm.get("chance_to_answer"), len(arm.get("resting", ()))
    shown = "-" if chance is None else f"{chance:.0%}"
    return f"{shown}, {resting} rest" if resting else shown
