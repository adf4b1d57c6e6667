"""What the router saved beside its baseline, all that it costs itself included: in dollars, and in quality."""

from dataclasses import asdict, dataclass
from typing import Any

from highwayman.env.cost.spend_ledger import DAY_S
from highwayman.feedback.fold.tallies.arm_contrast import BaselineContrast
from highwayman.feedback.fold.tallies.control_tally import ControlTally
from highwayman.feedback.savings.difference import LEVEL, difference_interval


@dataclass(frozen=True, slots=True)
class MeanDifference:
    """A difference and its interval, None while too little is known for one."""

    value: float
    low: float | None = None
    high: float | None = None

    def moved(self, by: float, times: float = 1.0) -> "MeanDifference":
        """Return (it + by) * times, for times >= 0."""
        low = None if self.low is None else (self.low + by) * times
        high = None if self.high is None else (self.high + by) * times
        return MeanDifference((self.value + by) * times, low, high)


@dataclass(frozen=True, slots=True)
class SavingsReport:
    """What is known by now; None: nothing yet."""

    requests: int  # that the slice might have drawn, and whose dollars are known
    control: int  # of them, drawn by the slice
    effective: float  # draws of the baseline alone that would tell as much of what it costs
    unpriced: int  # answered by arms without a price, in none of these numbers
    since: float | None  # seconds since the epoch: when the first of them was decided
    days: float  # from then to the last
    baseline_usd: float | None  # a request, had the baseline decided all of them
    router_usd: float | None  # a request, had the policy: of the calls alone
    judge_usd: float  # in all, since then
    shadow_usd: float
    overhead_usd: float  # in all: the judge's, the shadow calls', the router's own machines
    saving_usd: MeanDifference | None  # a request, overhead taken off
    total_usd: MeanDifference | None  # of all the policy's requests
    rated: int  # requests that were rated
    baseline_quality: float | None
    router_quality: float | None
    quality: MeanDifference | None  # the router's minus the baseline's
    level: float = LEVEL  # with which each interval holds, at every look at once

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def savings_report(tally: ControlTally, *, tenant: str, router_usd_per_day: float = 0.0) -> SavingsReport:
    """Return what one tenant's control slice tells.

    Args:
        tally: of the log so far.
        tenant: whose requests.
        router_usd_per_day: what the router's own machines cost, all of it taken off this tenant's savings.
    """
    own = tally.of(tenant)
    cost, quality = own.cost.contrast(), own.quality.contrast()
    days = (own.until - own.since) / DAY_S if own.since else 0.0
    overhead_usd = own.judge_usd + own.shadow_usd + router_usd_per_day * days
    saving = total = None
    if cost is not None:
        saving = _difference(cost).moved(-overhead_usd / cost.n)
        # The slice itself saved nothing: it paid what the baseline does. Overhead is paid once, whoever answered.
        of_policy = cost.n - cost.drawn
        total = _difference(cost).moved(-overhead_usd / of_policy, of_policy) if of_policy else None
    return SavingsReport(
        requests=0 if cost is None else cost.n,
        control=own.drawn,
        effective=0.0 if cost is None else cost.effective,
        unpriced=own.unpriced,
        since=own.since or None,
        days=days,
        baseline_usd=None if cost is None else cost.baseline,
        router_usd=None if cost is None else cost.policy,
        judge_usd=own.judge_usd,
        shadow_usd=own.shadow_usd,
        overhead_usd=overhead_usd,
        saving_usd=saving,
        total_usd=total,
        rated=0 if quality is None else quality.n,
        baseline_quality=None if quality is None else quality.baseline,
        router_quality=None if quality is None else quality.policy,
        quality=None if quality is None else _turned(_difference(quality)),
    )


def _difference(contrast: BaselineContrast) -> MeanDifference:
    """Return the baseline's mean minus the policy's."""
    interval = difference_interval(contrast)
    return MeanDifference(contrast.baseline - contrast.policy, *(interval or (None, None)))


def _turned(difference: MeanDifference) -> MeanDifference:
    low, high = difference.low, difference.high
    return MeanDifference(-difference.value, None if high is None else -high, None if low is None else -low)
