"""What requests take of the power that their servers draw, shared out evenly over those that run side by side."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from highwayman.env.load.prometheus_text import parse_samples
from highwayman.env.types import Arm

_WH_PER_JOULE: Final = 1 / 3600
_WATTS_SERIES: Final = ("DCGM_FI_DEV_POWER_USAGE", "highwayman_power_watts")
_MOST_WATTS: Final = 1e7


def parse_watts(text: bytes) -> float:
    """Return the watts that an exporter tells of: a number, JSON `{"watts": N}`, or Prometheus' text.

    Of the last, the samples of NVIDIA's DCGM exporter (`DCGM_FI_DEV_POWER_USAGE`, one for each GPU) or of
    `highwayman_power_watts` are summed.

    Raises:
        ValueError: it tells no number of watts >= 0.
    """
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = _summed_watts(text)
    watts = told.get("watts") if isinstance(told, dict) else told
    if isinstance(watts, bool) or not isinstance(watts, int | float) or not 0.0 <= watts <= _MOST_WATTS:
        raise ValueError('the answer tells no watts: want a number, {"watts": N}, or DCGM_FI_DEV_POWER_USAGE')
    return float(watts)


def _summed_watts(text: bytes) -> float:
    """Return the sum of the samples of known series, NaN where there is none. Raises ValueError."""
    samples = [sample for samples in parse_samples(text, _WATTS_SERIES).values() for sample in samples]
    return sum(samples) if samples else math.nan


@dataclass(slots=True)
class _Host:
    """What draws the power, and what one request has taken of it that has run since the beginning."""

    endpoints: tuple[str, ...]
    watts: float = math.nan
    read_at: float = -math.inf
    at: float = -math.inf  # up to when it is summed
    joules: float = 0.0  # of one request
    gaps: int = 0  # times at which nobody knew the power


@dataclass(frozen=True, slots=True)
class PowerMark:
    """How far the sums were at a moment, by exporter."""

    joules: Mapping[str, tuple[int, float]]


class PowerMeter:
    """Sums up, for every exporter, watts over requests side by side: a request takes what the sum grew by meanwhile.

    So all that a host draws, idle or not, is paid by the requests that run there, and by none twice. Who runs is what
    its servers say, and at least the calls from here. Between two readings the power is taken to be as it was read.
    """

    def __init__(self, arms: Sequence[Arm], clock: Callable[[], float], *, fresh_s: float = 5.0) -> None:
        """Take the arms, a clock in monotonic seconds, and for how long a reading is believed."""
        self._arms = {arm.name: arm.power_url for arm in arms if arm.power_url is not None}
        self._clock = clock
        self._fresh_s = fresh_s
        self.running: Callable[[str], float] = lambda endpoint: 0.0  # requests that run at an endpoint
        endpoints: dict[str, dict[str, None]] = {}
        for arm in arms:
            if arm.power_url is not None:
                endpoints.setdefault(arm.power_url, {}).update(dict.fromkeys(arm.endpoints))
        self._hosts = {url: _Host(tuple(own)) for url, own in endpoints.items()}
        self._urls = {endpoint: url for url, own in endpoints.items() for endpoint in own}

    def follow(self, arms: Iterable[Arm]) -> None:
        """Share the power out over the endpoints of these arms; an exporter that is new is asked nothing."""
        for host in self._hosts.values():
            self._sum_up(host)
        measured = [arm for arm in arms if arm.power_url in self._hosts]
        self._arms = {arm.name: arm.power_url for arm in measured if arm.power_url is not None}
        self._urls = {endpoint: url for arm in measured if (url := arm.power_url) for endpoint in arm.endpoints}
        for url, host in self._hosts.items():
            host.endpoints = tuple(endpoint for endpoint, own in self._urls.items() if own == url)

    @property
    def urls(self) -> tuple[str, ...]:
        """The exporters to be asked."""
        return tuple(self._hosts)

    def on_reading(self, url: str, watts: float) -> None:
        """Take what an exporter says now."""
        host = self._hosts[url]
        self._sum_up(host)
        host.watts, host.read_at = watts, self._clock()

    def before_change(self, endpoint: str) -> None:
        """Sum up what has been, before another number of requests runs at an endpoint."""
        url = self._urls.get(endpoint)
        if url is not None:
            self._sum_up(self._hosts[url])

    def mark(self) -> PowerMark:
        """Return how far the sums are."""
        for host in self._hosts.values():
            self._sum_up(host)
        return PowerMark({url: (host.gaps, host.joules) for url, host in self._hosts.items()})

    def used_wh(self, arm: Arm, since: PowerMark) -> float | None:
        """Return what one request that an arm has answered since a mark took; None where nobody knew all of it."""
        url = self._arms.get(arm.name)
        if url is None or url not in since.joules:
            return None
        host, (gaps, joules) = self._hosts[url], since.joules[url]
        self._sum_up(host)
        if gaps != host.gaps or not self._is_fresh(host, self._clock()):
            return None
        return max(host.joules - joules, 0.0) * _WH_PER_JOULE

    def _sum_up(self, host: _Host) -> None:
        now = self._clock()
        if not self._is_fresh(host, now):
            host.gaps += 1
        elif now > host.at:
            running = max(math.fsum(self.running(endpoint) for endpoint in host.endpoints), 1.0)
            host.joules += host.watts * (now - max(host.at, host.read_at)) / running
        host.at = now

    def _is_fresh(self, host: _Host, now: float) -> bool:
        return now - host.read_at <= self._fresh_s
