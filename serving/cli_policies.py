"""`highwayman policies`: which there are, and what each takes."""

import inspect
import re
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from highwayman.bandit.policy import bandit_class, missing_policies, parse_policy, policy_class, shipped_policies

_PASSED_ON = re.compile(r"options of `(\w+)`")


@click.command()
@click.argument("name", required=False)
def policies(name: str | None) -> None:
    """List the policies, or say what the one called NAME takes.

    docs/policies.md says which one is for what.
    """
    console = Console()
    if name is not None:
        _one(console, name)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("policy", "what it does"):
        table.add_column(heading, no_wrap=heading == "policy")
    for found, path in sorted(shipped_policies().items()):
        table.add_row(found, _first_line(policy_class(path)))
    for module, why in sorted(missing_policies().items()):
        table.add_row(f"[dim]{module}[/dim]", f"[dim]not here: {why}[/dim]")
    console.print(table)
    console.print("Name one to see its options: highwayman policies HierTS", highlight=False)


def _one(console: Console, name: str) -> None:
    """Print a policy's page. Raises ConfigError if there is none of that name."""
    path, _ = parse_policy(name)
    found = policy_class(path)
    console.print(f"[bold]{name}[/bold]  {path}\n", highlight=False)
    console.print(inspect.getdoc(found) or "", markup=False, highlight=False)
    console.print(f"\n{_options(found)}", markup=False, highlight=False)


def _options(found: Any) -> str:
    """Return the constructor's options with their defaults, those it passes on among them, and what it says of them."""
    _, _, said = (inspect.getdoc(found.__init__) or "").partition("Args:\n")
    taken = _defaults(found)
    for name in _PASSED_ON.findall(said):
        taken += [line for line in _defaults(bandit_class(name)) if line not in taken]
    lines = [line for line in said.splitlines() if not line.strip().startswith(("d:", "fingerprint:"))]
    return "\n".join(["Options:", *(taken or ["  none"]), *([""] if lines else []), *lines])


def _defaults(found: Any) -> list[str]:
    """Return a line for each option of a class."""
    return [
        f"  {one.name} = {one.default!r}"
        for one in inspect.signature(found).parameters.values()
        if one.default is not one.empty and one.name not in ("fingerprint", "fading")
    ]


def _first_line(found: Any) -> str:
    return (inspect.getdoc(found) or "").partition("\n")[0]
