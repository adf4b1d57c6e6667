"""The command line, `highwayman`."""

import logging

import click

from highwayman import __version__
from highwayman.serving.cli.loading import LazyGroup

_COMMANDS = {
    "allocate": "offline.allocate:allocate_command",
    "config": "router.config:config",
    "efficiency": "evidence.efficiency:efficiency",
    "erase": "log.erase:erase",
    "evaluate": "offline.evaluate:evaluate",
    "export": "log.export:export_command",
    "feedback": "log.feedback:feedback",
    "import": "imports.imports:import_group",
    "judge": "log.judge:judge",
    "keys": "router.keys:keys",
    "learn": "log.log:learn",
    "policies": "offline.policies:policies",
    "pool": "router.pool:pool",
    "prior": "offline.prior:prior",
    "promote": "evidence.promote:promote",
    "rebuild": "log.log:rebuild",
    "reload": "live.reload:reload",
    "replay": "offline.replay:replay",
    "rollback": "evidence.rollback:rollback",
    "savings": "evidence.savings:savings",
    "serve": "router.serve:serve",
    "simulate": "offline.simulate:simulate",
    "snapshot": "log.snapshot:snapshot",
    "top": "router.top:top",
    "tournament": "evidence.tournament:tournament",
    "up": "router.up:up_command",
}


_PLACES = {
    **{name: f"highwayman.serving.cli.{place}" for name, place in _COMMANDS.items()},
    "demo": "highwayman.demo.command:demo",  # a room above this one
}


@click.group(cls=LazyGroup, places=_PLACES)
@click.version_option(__version__)
def main() -> None:
    """Highwayman: a REST router that learns which language model should answer."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


if __name__ == "__main__":
    main()
