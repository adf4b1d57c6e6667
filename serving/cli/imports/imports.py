"""The commands of `highwayman import`."""

import click

from highwayman.serving.cli.loading import LazyGroup

_COMMANDS = {"dsjson": "dsjson:dsjson", "litellm": "litellm:litellm", "tensorzero": "tensorzero.command:tensorzero"}


@click.group(
    "import",
    cls=LazyGroup,
    places={name: f"highwayman.serving.cli.imports.{place}" for name, place in _COMMANDS.items()},
)
def import_group() -> None:
    """Come over from another program: its configuration and its log, and what could not be carried over."""
