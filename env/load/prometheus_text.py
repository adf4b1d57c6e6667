"""Numbers out of what a server writes for Prometheus, such as its `/metrics`."""

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

_MOST_BYTES: Final = 1 << 16  # of the lines that are wanted


def parse_samples(text: bytes, names: tuple[str, ...]) -> Mapping[str, list[float]]:
    """Return the numbers of the series called so, by name: of one that the text does not have, none.

    A server may write a hundred times as many lines as are wanted: the others are never parsed. Time is linear in the
    bytes.

    Raises:
        ValueError: a line that is wanted cannot be read, or there are too many of them.
    """
    wanted = b"\n".join(_wanted(names).findall(text)) + b"\n"
    if len(wanted) > _MOST_BYTES:
        raise ValueError(f"the lines of {', '.join(names)} have more than {_MOST_BYTES} bytes")
    samples: defaultdict[str, list[float]] = defaultdict(list)
    try:
        for family in text_string_to_metric_families(wanted.decode("utf-8", "replace")):
            for sample in family.samples:
                samples[sample.name].append(float(sample.value))
    except (ValueError, LookupError) as error:  # the parser raises either
        raise ValueError(f"a line of {', '.join(names)} is no Prometheus text") from error
    return samples


@cache
def _wanted(names: tuple[str, ...]) -> re.Pattern[bytes]:
    """Return what finds the lines of these series."""
    either = "|".join(map(re.escape, names)).encode()
    return re.compile(rb"^(?:%b)[{ \t][^\n]{0,2000}$" % either, re.MULTILINE)
