"""`highwayman policies`: which there are, and what each takes."""

import inspect
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from highwayman.bandit.loading import missing_policies, parse_policy, policy_class, policy_options, shipped_policies


@click.command()
@click.argument("name", required=False)
def policies(name: str | None) -> None:
    """List the policies, or say what the one called NAME takes.

    docs/policies.md says which one is for what.
    """
    console = Console()
    if name is not None:
        _print_policy(console, name)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("policy", "what it does"):
        table.add_column(heading, no_wrap=heading == "policy")
    for policy, path in sorted(shipped_policies().items()):
        table.add_row(policy, _first_line(policy_class(path)))
    for module, reason in sorted(missing_policies().items()):
        table.add_row(f"[dim]{module}[/dim]", f"[dim]not here: {reason}[/dim]")
    console.print(table)
    console.print("Name one to see its options: highwayman policies HierTS", highlight=False)


def _print_policy(console: Console, name: str) -> None:
    """Print a policy's page. Raises ConfigError if there is none of that name."""
    path, _ = parse_policy(name)
    policy = policy_class(path)
    console.print(f"[bold]{name}[/bold]  {path}\n", highlight=False)
    console.print(inspect.getdoc(policy) or "", markup=False, highlight=False)
    console.print(f"\n{_options(policy)}", markup=False, highlight=False)


def _options(kind: Any) -> str:
    """Return the constructor's options with their defaults, those it passes on among them, and what it says of them."""
    _, _, args_section = (inspect.getdoc(kind.__init__) or "").partition("Args:\n")
    options = policy_options(kind) or {}
    option_lines = [f"  {name} = {option.default!r}" for name, option in options.items()]
    notes = [line for line in args_section.splitlines() if not line.strip().startswith(("d:", "fingerprint:"))]
    return "\n".join(["Options:", *(option_lines or ["  none"]), *([""] if notes else []), *notes])


def _first_line(kind: Any) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0]
