"""`highwayman reload`: files are read again."""

import click

from highwayman.serving.cli.live.routers import WITHIN_S, RoutersOptions, print_outcome, routers_options, who
from highwayman.serving.reload.live_keys import differences


@click.command()
@routers_options
async def reload(options: RoutersOptions) -> None:
    """Have every running router read its configuration and pool again; what cannot be followed changes nothing."""
    async with options.open() as routers:
        before = await routers.tree()
        generation = await routers.ask_for_reload(who())
        await routers.shared.everybody(generation, within_s=WITHIN_S)
        await print_outcome(routers, generation, differences(before, await routers.tree()))
