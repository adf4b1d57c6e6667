"""A command's file is read when the command is asked for: a router that starts loads no simulator, `keys` no router."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from highwayman.serving.cli.errors import PlainErrorGroup


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Import in here: what is loaded stays, and is never looked through for garbage, at the end neither.

    Both together took a third of the time that a command needs to start and end.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


class LazyGroup(PlainErrorGroup):
    """A group that knows where its commands are."""

    def __init__(self, *args: Any, places: Mapping[str, str], **options: Any) -> None:
        """Take each command's place as `module:attribute`, by its name."""
        super().__init__(*args, **options)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, or None; then all are loaded, for click to name the one that was meant."""
        for name in [cmd_name] if cmd_name in self._places else self._places:
            self._load(name)
        return self.commands.get(cmd_name)

    def _load(self, name: str) -> None:
        module, _, attribute = self._places[name].partition(":")
        if name not in self.commands:
            with collector_at_rest():
                self.add_command(getattr(import_module(module), attribute), name)
