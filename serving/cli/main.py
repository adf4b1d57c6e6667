"""The command line, `highwayman`."""

import logging

import click

from highwayman import __version__
from highwayman.serving.cli.loading import LazyGroup

_COMMANDS = {
    "allocate": "allocate:allocate_command",
    "config": "config:config",
    "efficiency": "efficiency:efficiency",
    "erase": "erase:erase",
    "evaluate": "evaluate:evaluate",
    "export": "export:export_command",
    "feedback": "feedback:feedback",
    "judge": "judge:judge",
    "keys": "keys:keys",
    "learn": "log:learn",
    "policies": "policies:policies",
    "pool": "pool:pool",
    "prior": "prior:prior",
    "promote": "promote:promote",
    "rebuild": "log:rebuild",
    "replay": "replay:replay",
    "rollback": "rollback:rollback",
    "savings": "savings:savings",
    "serve": "serve:serve",
    "simulate": "simulate:simulate",
    "snapshot": "snapshot:snapshot",
    "top": "top:top",
    "tournament": "tournament:tournament",
    "up": "up:up_command",
}


@click.group(cls=LazyGroup, places={name: f"highwayman.serving.cli.{place}" for name, place in _COMMANDS.items()})
@click.version_option(__version__)
def main() -> None:
    """Highwayman: a REST router that learns which language model should answer."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


if __name__ == "__main__":
    main()
