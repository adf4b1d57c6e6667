"""`highwayman policies`: which there are, and what each takes."""

import inspect
import re
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from highwayman.bandit.loading import missing_policies, parse_policy, policy_class, policy_options, shipped_policies


@click.command()
@click.argument("name", required=False)
def policies(name: str | None) -> None:
    """List the policies, or say what the one called NAME takes.

    docs/how-to/policies.md says which one is for what.
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
    paragraphs = re.sub(
        r"(?<!\n)\n(?=\S)", " ", inspect.getdoc(policy) or ""
    )  # the terminal breaks them, not the source
    console.print(paragraphs, markup=False, highlight=False)
    options = policy_options(policy) or {}
    option_lines = [f"  {name} = {option.default!r}" for name, option in options.items()] or ["  none"]
    console.print("\n".join(["\nOptions:", *option_lines]), markup=False, highlight=False)
    notes = _notes(policy)
    if notes:
        console.print(Padding(Text("\n".join(notes)), (1, 0, 0, 4)))


def _notes(kind: Any) -> list[str]:
    """Return what the constructor says of its options, a line for each."""
    _, _, args_section = (inspect.getdoc(kind.__init__) or "").partition("Args:\n")
    lines = re.sub(r"\n {8,}", " ", args_section.partition("Raises:")[0].strip()).splitlines()
    return [line.strip() for line in lines if not line.strip().startswith(("d:", "fingerprint:"))]


def _first_line(kind: Any) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0]
