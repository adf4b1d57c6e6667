"""Command groups that print our own errors in one line."""

from typing import Any

import click

from highwayman.env.errors import HighwaymanError


class PlainErrorGroup(click.Group):
    """Commands whose domain errors are printed without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Return what the command returns."""
        try:
            return super().invoke(ctx)
        except HighwaymanError as error:
            raise click.ClickException(str(error)) from error
