"""A gauge of what is under way is right whenever it is looked at, or at any time where others look at it."""

import pytest
from prometheus_client import CollectorRegistry, Gauge

from highwayman.serving.telemetry.under_way import UnderWay


@pytest.mark.parametrize("is_shared", [False, True])
def test_it_shows_what_is_under_way_at_once_where_it_is_shared_and_else_when_told(is_shared: bool) -> None:
    registry = CollectorRegistry()
    under_way = UnderWay(Gauge("under_way", "", registry=registry), is_shared=is_shared)
    shown = []
    for change in (under_way.inc, under_way.inc, under_way.dec):
        change()
        shown.append(registry.get_sample_value("under_way"))
    under_way.tell()
    assert (shown, registry.get_sample_value("under_way")) == ([1, 2, 1] if is_shared else [0, 0, 0], 1)
