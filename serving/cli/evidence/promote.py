"""`highwayman promote`: let a challenger in."""

import click

from highwayman.feedback.tournament.ramp import Ramp
from highwayman.serving.cli.context import LogOptions, log_options
from highwayman.serving.cli.evidence.tournament import who_decides


@click.command()
@click.argument("challenger")
@click.option("--at-once", is_flag=True, help="For all of the traffic, without a ramp.")
@log_options
async def promote(options: LogOptions, challenger: str, at_once: bool) -> None:
    """Let CHALLENGER decide: by the ramp's first share, the next ones while no guard is broken."""
    async with options.open(for_all=True, by=("tournament",)) as (client, factory):
        await factory.referee(client).promote(challenger, at_once=at_once)
        ramp = Ramp.from_json(await factory.store(client).ramp(), first=factory.config.tournament.champion)
    click.echo(who_decides(ramp, factory.config.policy.name))
