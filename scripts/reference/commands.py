"""docs/reference/commands.md: every command and its options, from click."""

import inspect
from collections.abc import Iterator

import click

from highwayman.serving.cli.main import main
from scripts.reference.tables import page, table

_INTRO = """Every command of `highwayman`, with what `--help` says of it. Those that look after the log take the
configuration that running routers have announced, and say of which namespace and lineage they speak
([look after the log](../how-to/look_after_the_log.md))."""
_NAME = "highwayman"


def commands_page() -> str:
    """Return docs/reference/commands.md."""
    parts = [_command(context) for context in _leaves(click.Context(main, info_name=_NAME))]
    return page("Commands", _INTRO, parts)


def _leaves(context: click.Context) -> Iterator[click.Context]:
    """Yield every command that is no group, by name."""
    group = context.command
    if not isinstance(group, click.Group):
        yield context
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None and not command.hidden:
            yield from _leaves(click.Context(command, info_name=name, parent=context))


def _command(context: click.Context) -> str:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    rows = []
    for option in command.params:
        record = option.get_help_record(context)
        if record is not None and isinstance(option, click.Option):
            names, text = record
            env = f" [env var: {option.envvar}]" if option.envvar and "env var" not in text else ""
            rows.append((f"`{names}`", " ".join(text.split()) + env))
    options = [table(("option", "what"), rows)] if rows else []
    parts = [
        f"## {context.command_path}",
        inspect.cleandoc(command.help or ""),
        f"```console\n$ {usage}\n```",
        *options,
    ]
    return "\n\n".join(filter(None, parts))
