"""A gauge of what is under way: counted by itself, as a gauge of Prometheus takes five calls for each change."""

from prometheus_client import Gauge


class UnderWay:
    """Counts up and down, and tells its gauge when asked to: at each change only where others tell of the gauge."""

    def __init__(self, gauge: Gauge, *, is_shared: bool) -> None:
        """Take the gauge, and whether another process may be asked for it at any time."""
        self._gauge = gauge
        self._is_shared = is_shared
        self._count = 0

    def inc(self) -> None:
        """Count one more."""
        self._count += 1
        if self._is_shared:
            self.tell()

    def dec(self) -> None:
        """Count one less."""
        self._count -= 1
        if self._is_shared:
            self.tell()

    def tell(self) -> None:
        """Have the gauge show how many are under way."""
        self._gauge.set(self._count)
