"""`highwayman rollback`: back to who decided before."""

import click

from highwayman.feedback.tournament.ramp import Ramp
from highwayman.serving.cli.context import LogOptions, log_options
from highwayman.serving.cli.evidence.tournament import who_decides


@click.command()
@log_options
async def rollback(options: LogOptions) -> None:
    """Take a challenger's share of the traffic back, or, where nobody has one, the last promotion."""
    async with options.open(for_all=True, by=("tournament",)) as (client, factory):
        await factory.referee(client).rollback()
        ramp = Ramp.from_json(await factory.store(client).ramp(), first=factory.config.tournament.champion)
    click.echo(who_decides(ramp, factory.config.policy.name))
