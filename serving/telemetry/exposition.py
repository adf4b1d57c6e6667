"""From what was counted to what Prometheus is shown: what is in Redis beside it, and old names for one release."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from highwayman.feedback.intake.pending import PendingCounts
from highwayman.serving.telemetry.families import HELD, OLD_NAMES, WAITING

_FATES = ("held", "joined", "expired", "withdrawn")


class _Shown(Collector):
    """A registry's metrics and those that are made of them."""

    def __init__(self, registry: CollectorRegistry, pending: PendingCounts | None) -> None:
        self._registry, self._pending = registry, pending

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            yield family
            if family.name in OLD_NAMES:
                yield _renamed(family, OLD_NAMES[family.name])
        if self._pending is not None:
            yield from _pending(self._pending)


def exposition_of(registry: CollectorRegistry, pending: PendingCounts | None) -> bytes:
    """Return what a registry holds in Prometheus' text format, without anything of feedback that waits if None."""
    shown = CollectorRegistry()
    shown.register(_Shown(registry, pending))
    return generate_latest(shown)


def _renamed(family: Metric, name: str) -> Metric:
    """Return a family under the name that it had in the release before."""
    old = Metric(name, f"Old name of {family.name}, for one release", family.type)
    old.samples = [
        Sample(name + sample.name.removeprefix(family.name), sample.labels, sample.value) for sample in family.samples
    ]
    return old


def _pending(pending: PendingCounts) -> Iterator[Metric]:
    """Yield what is the same whichever process of the namespace is asked."""
    yield GaugeMetricFamily(WAITING.name, WAITING.meaning, value=pending.waiting)
    held = CounterMetricFamily(HELD.name, HELD.meaning, labels=HELD.labels)
    for fate in _FATES:
        held.add_metric([fate], getattr(pending, fate))
    yield held
