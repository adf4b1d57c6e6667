"""Durations as people write them on a command line: 90d, 12h, 30m, 45s."""

import math
from typing import Any, Final

import click

_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


class Duration(click.ParamType):  # type: ignore[type-arg]  # older clicks take none
    """A number and its unit; a click option's value is then in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds. Raises click.BadParameter for what is none."""
        if isinstance(value, float):
            return value
        text, unit = str(value)[:-1], str(value)[-1:]
        try:
            seconds = float(text) * _SECONDS[unit]
        except (ValueError, KeyError):
            seconds = math.nan
        if not (math.isfinite(seconds) and seconds >= 0):
            self.fail(f"{value!r} is no duration; write 90d, 12h, 30m or 45s", param, ctx)
        return seconds
