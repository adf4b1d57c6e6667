"""`highwayman demo`: prompts and thumbs for a running router while somebody watches, then whether it learned."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from highwayman.demo.client import RouterAway, RouterClient, RouterRefused
from highwayman.demo.play import last_third, play
from highwayman.demo.report.comparison import compare
from highwayman.demo.report.page import page
from highwayman.demo.report.words import print_report
from highwayman.demo.rounds import OtherRun, Round, RoundsFile, RunSettings, open_rounds
from highwayman.env.errors import HighwaymanError
from highwayman.serving.cli.context import STATE_DIR
from highwayman.serving.cli.router.router_options import DEFAULT_PORT
from highwayman.serving.state.local_state import state_folder
from highwayman.serving.state.operator_key import local_key

LEAST_ROUNDS, MOST_ROUNDS = 30, 1200  # there are not many more different facts
_TOLD_EVERY = 40  # rounds
_KEPT = "What was done is kept; run the same command again to go on."
_ARMS_GONE = "If an arm was drained or removed meanwhile: put it back first, or begin anew with --fresh."


class DemoStopped(HighwaymanError):
    """A run ended before its last round."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Which router is asked how much, and where what comes of it is written."""

    url: str
    admin_url: str | None  # of the operator's routes, where it is another one
    api_key: str | None
    seed: int
    rounds: int
    concurrency: int
    points_per_usd: float | None  # None: as `auto` has it
    out: Path
    fresh: bool

    @property
    def journal(self) -> Path:
        """Where the rounds are written."""
        return self.out / f"seed-{self.seed}.jsonl"


@click.command("demo")
@click.option("--url", default=f"http://127.0.0.1:{DEFAULT_PORT}", show_default=True, help="The router's address.")
@click.option("--admin-url", help="Where operators look, if the router has another port for them.")
@click.option("--state-dir", type=STATE_DIR, help="Of the router, whose operator's key stands there.")
@click.option("--rounds", type=click.IntRange(LEAST_ROUNDS, MOST_ROUNDS), default=240, show_default=True,
              help="Prompts, a thumb each; on the last third every arm answers, too.")  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="Of the prompts and of the resampling.")
@click.option("--concurrency", type=click.IntRange(min=1), default=3, show_default=True,
              help="Prompts in flight; learning wants few.")  # fmt: skip
@click.option("--points-per-usd", type=float, help="Points of quality (.01); if not given, as `auto` has it.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default="highwayman-demo", show_default=True,
              help="Folder for what is written.")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Forget what was written of a run of this seed.")
def demo(  # noqa: PLR0913, PLR0917  (one parameter per option)
    url: str, admin_url: str | None, state_dir: Path | None, rounds: int, seed: int, concurrency: int,
    points_per_usd: float | None, out: Path, fresh: bool,
) -> None:  # fmt: skip
    """Send prompts and thumbs to a running router, and say whether it learned.

    Five kinds of prompt, each answer graded by a program as a user would. Where keys are needed, HIGHWAYMAN_API_KEY is
    one, else the one in this machine's state folder.
    """
    console = Console()
    key = os.environ.get("HIGHWAYMAN_API_KEY") or local_key(url, state_dir or state_folder())
    options = DemoOptions(url, admin_url, key, seed, rounds, concurrency, points_per_usd, out, fresh)
    try:
        journal, worth = asyncio.run(run(options, console))
    except* RouterAway as group:
        raise DemoStopped(f"{_first(group)}; start one: highwayman up (from its repository: make run)") from group
    except* RouterRefused as group:
        raise DemoStopped(f"{_first(group)}\n{_KEPT} {_ARMS_GONE}") from group
    except* OtherRun as group:
        raise DemoStopped(str(_first(group))) from group
    except* KeyboardInterrupt as group:
        raise DemoStopped(f"stopped. {_KEPT}") from group
    conclude(journal, options, console, points_per_usd=worth)


async def run(options: DemoOptions, console: Console) -> tuple[RoundsFile, float]:
    """Return the journal with every round played, and the points of quality that a dollar counts as."""
    router = RouterClient(options.url, options.api_key, admin_url=options.admin_url)
    try:
        policy = await router.policy()
        worth = options.points_per_usd
        if worth is None:
            worth = float(policy["objectives"]["auto"]["points_per_usd"])
        arms = tuple(name for name, arm in policy["arms"].items() if arm["state"] != "draining")  # that can be asked
        settings = RunSettings(options.seed, options.rounds, arms)
        journal = open_rounds(options.journal, settings, fresh=options.fresh)
        thumbs = sum(arm["feedback"] for arm in policy["arms"].values())
        if len(journal.rounds) == settings.rounds:
            console.print("This run was finished before; here it is again (--fresh or another --seed asks anew).")
        elif not journal.rounds and thumbs:
            console.print(f"This router has already learned from {thumbs} thumbs: the curve will not start at random.")
        with progress_bar(console) as progress:
            task = progress.add_task("", total=options.rounds, completed=len(journal.rounds), told="")

            def on_round(_: Round) -> None:
                rounds = journal.rounds
                progress.update(task, advance=1, told=thumbs_up(rounds[-_TOLD_EVERY:]))
                if len(rounds) % _TOLD_EVERY == 0:
                    first = len(rounds) - _TOLD_EVERY + 1
                    console.print(f"prompts {first:>3} to {len(rounds):>3}: {thumbs_up(rounds[-_TOLD_EVERY:])}")

            await play(router, journal, at_once=options.concurrency, on_round=on_round)
        return journal, worth
    finally:
        await router.close()


def progress_bar(console: Console) -> Progress:
    """Return a bar that also tells how good the last answers were."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[told]}"))
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console)


def thumbs_up(rounds: Sequence[Round]) -> str:
    """Return the share of thumbs up among rounds, in words."""
    return f"{np.mean([played.chosen.quality for played in rounds]):.0%} thumbs up"


def conclude(journal: RoundsFile, options: DemoOptions, console: Console, *, points_per_usd: float) -> None:
    """Print the report; write the page beside the journal."""
    rounds, settings = journal.rounds, journal.settings
    judged = rounds[last_third(settings.rounds) :]
    comparison = compare(judged, settings.arms, points_per_usd=points_per_usd, seed=settings.seed)
    html = options.journal.with_suffix(".html")
    html.write_text(page(rounds, settings, comparison), encoding="utf-8")
    print_report(console, comparison, settings.arms)
    console.print(f"Page:      {html}", highlight=False, soft_wrap=True)
    dashboard = (options.admin_url or options.url).rstrip("/") + "/dashboard"
    console.print(f"Dashboard: {dashboard}", highlight=False, soft_wrap=True)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first plain exception of nested groups."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
