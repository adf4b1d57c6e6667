"""A host of 360 W on which two replicas of arm `a` run, one of arm `b`; 360 W for ten seconds are one watt-hour."""

from collections import Counter

import pytest

from highwayman.env.load.power import PowerMeter, parse_watts
from highwayman.env.load.replica_loads import ReplicaLoads
from highwayman.env.types import Arm

URL = "http://host:9400/metrics"
A = Arm("a", ("http://a:1", "http://a:2"), "a", 1.0, 1.0, 4096, power_url=URL)
B = Arm("b", ("http://b:1",), "b", 1.0, 1.0, 4096, power_url=URL)
C = Arm("c", ("http://c:1",), "c", 1.0, 1.0, 4096)


class Host:
    """Its meter, calls that begin and end there, and a clock; it is read every second while time passes."""

    def __init__(self) -> None:
        self.at = 0.0
        self.meter = PowerMeter([A, B, C], lambda: self.at)
        self.loads = ReplicaLoads(lambda: self.at, before_change=self.meter.before_change)
        self.meter.running = lambda endpoint: float(self.loads.own_calls(endpoint))
        self.meter.on_reading(URL, 360.0)

    def wait(self, seconds: int, *, watts: float | None = 360.0) -> None:
        for _ in range(seconds):
            self.at += 1.0
            if watts is not None:
                self.meter.on_reading(URL, watts)


def test_a_request_alone_pays_for_all_that_its_host_draws_meanwhile() -> None:
    host = Host()
    host.wait(100)
    mark, call = host.meter.mark(), host.loads.on_call("http://a:1")
    host.wait(10)
    call.end()
    assert host.meter.used_wh(A, mark) == pytest.approx(1.0)


def test_requests_side_by_side_share_it_and_together_pay_for_all_of_it() -> None:
    """One runs for ten seconds, another on another arm for the last five of them and five more."""
    host = Host()
    first_mark, first = host.meter.mark(), host.loads.on_call("http://a:2")
    host.wait(5)
    second_mark, second = host.meter.mark(), host.loads.on_call("http://b:1")
    host.wait(5)
    first.end()
    used = host.meter.used_wh(A, first_mark)
    host.wait(5)
    second.end()
    also_used = host.meter.used_wh(B, second_mark)
    assert (used, also_used) == (pytest.approx(0.75), pytest.approx(0.75))


def test_what_servers_say_of_others_requests_counts_too() -> None:
    host, running = Host(), Counter({"http://a:1": 4})
    host.meter.running = lambda endpoint: float(running[endpoint])
    mark = host.meter.mark()
    host.wait(10)
    assert host.meter.used_wh(A, mark) == pytest.approx(0.25)


def test_power_that_changes_counts_as_it_was() -> None:
    host = Host()
    mark = host.meter.mark()
    host.wait(5)
    host.wait(5, watts=720.0)
    assert host.meter.used_wh(A, mark) == pytest.approx((6 * 360 + 4 * 720) / 3600), "as last read, until it is read"


def test_nothing_is_told_of_a_request_during_which_nobody_knew_the_power() -> None:
    host = Host()
    mark = host.meter.mark()
    host.wait(20, watts=None)
    assert host.meter.used_wh(A, mark) is None
    host.wait(3)
    assert host.meter.used_wh(A, mark) is None, "it is known again, but was not all the while"
    mark = host.meter.mark()
    host.wait(10)
    assert host.meter.used_wh(A, mark) == pytest.approx(1.0)
    assert host.meter.used_wh(C, mark) is None, "nobody measures its host"


@pytest.mark.parametrize(
    ("text", "watts"),
    [
        ("250.5\n", 250.5),
        ('{"watts": 300}', 300.0),
        (
            "# HELP DCGM_FI_DEV_POWER_USAGE Power draw (in W).\n"
            'DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-1"} 200.25\n'
            'DCGM_FI_DEV_POWER_USAGE{gpu="1"} 100 1700000000\nDCGM_FI_DEV_GPU_TEMP{gpu="0"} 40\n',
            300.25,
        ),
        ("highwayman_power_watts 12.5\n", 12.5),
    ],
)
def test_an_exporter_tells_watts_as_a_number_as_json_or_as_prometheus_has_it(text: str, watts: float) -> None:
    assert parse_watts(text.encode()) == watts


@pytest.mark.parametrize("text", ["", "{}", "true", "-1", '{"watts": "many"}', "up 1\n", "NaN", "Infinity"])
def test_what_tells_no_watts_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="tells no watts"):
        parse_watts(text.encode())


def test_a_request_under_way_is_charged_though_its_arm_leaves_and_a_new_replica_shares_from_then_on() -> None:
    host = Host()
    mark, call = host.meter.mark(), host.loads.on_call("http://a:1")
    host.wait(5)
    new = Arm("d", ("http://d:1",), "d", 1.0, 1.0, 4096, power_url=URL)
    host.meter.follow([A, new, C, Arm("e", ("http://e:1",), "e", 1.0, 1.0, 4096, power_url="http://other/metrics")])
    assert host.meter.urls == (URL,), "nobody asks an exporter that is new"
    other = host.loads.on_call("http://d:1")
    host.wait(10)
    call.end()
    other.end()
    assert host.meter.used_wh(A, mark) == pytest.approx(0.5 + 0.5)
    assert host.meter.used_wh(B, mark) is None
