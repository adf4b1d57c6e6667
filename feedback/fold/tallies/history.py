"""What happened over time: sums by tenant and arm in buckets of time, and what was changed meanwhile."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from highwayman.env.reward import FeedbackStatus
from highwayman.env.types import Decision, Mode, Outcome, Status
from highwayman.feedback.fold.join import AttributedReward
from highwayman.feedback.fold.tallies.change_list import ChangeList
from highwayman.feedback.fold.tallies.control_tally import JUDGE
from highwayman.feedback.fold.tallies.time_buckets import Cells, TimeBuckets
from highwayman.feedback.log.event_id import START, EventId, milliseconds_of

OTHERS: Final = "#others"  # the tenants beyond the first eight together; no tenant is called so
_TENANTS: Final = 8
_ALL_ARMS: Final = ""  # where sums stand that are of no arm
# By name, and compared by identity: an enum's attributes and hashes take longer than all else that is done here.
_ROUTE, _CASCADE, _SHADOW, _STICKY = Mode.ROUTE, Mode.CASCADE, Mode.SHADOW, Mode.STICKY
_OK, _LOST, _COUNTS = Status.OK, Status.LOST, FeedbackStatus.COUNTS
_FAILED: Final = (Status.FAILED, Status.TIMEOUT)
DELAYS_S: Final = (60.0, 600.0, 3_600.0, 86_400.0)  # ends of the bins of feedback's delay, but for the last one
# Whole units, so that sums are the same in any order and nothing is left of what is taken away.
_USD, _S, _WEIGHT, _QUALITY, _SHARE = 1e9, 1e3, 1e3, 1e4, 1e4  # of a dollar, a second, a weight, quality, a draw
_ARM_SIZE: Final = 10
_TOTAL_SIZE: Final = 3 + len(DELAYS_S) + 1


@dataclass(frozen=True, slots=True)
class ArmSums:
    """One arm's sums over a stretch of time, by when its requests were decided."""

    routed: int = 0  # decisions that drew it, whoever answered then
    served: int = 0  # answers that reached their clients
    failed: int = 0  # requests it did not answer
    cost_usd: float = 0.0  # of all its calls, those included whose answers did not do
    latency_s: float = 0.0  # until these had come, with all that went before
    rated: int = 0  # answers of which something is known, but for those of callers who named it
    weight: float = 0.0  # of their rewards
    weighted: float = 0.0  # weight times quality
    squared: float = 0.0  # weight times quality squared
    weight_squared: float = 0.0

    @classmethod
    def of(cls, numbers: Iterable[int]) -> "ArmSums":
        """Return them from whole units."""
        routed, served, failed, usd, latency, rated, w, wq, wqq, ww = numbers
        return cls(
            routed, served, failed, usd / _USD, latency / _S, rated,
            w / _WEIGHT, wq / _QUALITY, wqq / _QUALITY, ww / _WEIGHT,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class TotalSums:
    """What is counted of no arm."""

    decisions: int = 0  # of callers, whichever way they came about
    unlikely: float = 0.0  # sum over drawn arms of the probability that went to others than the likeliest
    internal_usd: float = 0.0  # of the judge's and shadow calls
    rated_within: tuple[int, ...] = (0,) * (len(DELAYS_S) + 1)  # rated answers, by when the first word on them came

    @classmethod
    def of(cls, numbers: Iterable[int]) -> "TotalSums":
        """Return them from whole units."""
        decisions, unlikely, internal, *rated_within = numbers
        return cls(decisions, unlikely / _SHARE, internal / _USD, tuple(rated_within))


@dataclass(frozen=True, slots=True)
class HistoryBucket:
    """A stretch of time, from `begin` to `end` (seconds since the epoch)."""

    begin: float
    end: float
    total: TotalSums
    arms: Mapping[str, ArmSums]


class _CountedTenants(dict[str, str]):
    """Under which name each tenant is counted: the first ones that are met under their own, all others together."""

    @property
    def own(self) -> Iterator[str]:
        """Iterate over those that are counted under their own, in the order in which they were met."""
        return (tenant for tenant, name in self.items() if tenant == name)

    def __missing__(self, tenant: str) -> str:
        name = self[tenant] = self.name_of(tenant)
        return name

    def name_of(self, tenant: str) -> str:
        """Return under which name a tenant is counted, or would be."""
        return self.get(tenant) or (tenant if len(self) < _TENANTS else OTHERS)


class History:
    """The sums of all buckets and the latest changes, as a fold over the log, by the times of decisions.

    A snapshot of a release without it begins an empty one: of what was decided before, nothing is told, whatever comes
    of it later.
    """

    def __init__(self, since: float = 0.0) -> None:
        """Start with nothing, for decisions from a moment on (seconds since the epoch)."""
        self.changes = ChangeList()
        self._since = since
        self._buckets = TimeBuckets()
        self._counted = _CountedTenants()

    def on_decision(self, decision: Decision, *, sign: int = 1) -> None:
        """Count a decision; with `sign` -1 take it away."""
        mode = decision.mode
        if mode is _SHADOW or decision.objective == JUDGE or decision.at < self._since:
            return
        if decision.at > self._buckets.newest and sign > 0:
            self._buckets.advance(decision.at)
        cells, tenant = self._buckets.at(decision.at), self._counted[decision.tenant]
        total = self._total(cells, tenant)
        total[0] += sign
        if mode is _ROUTE or mode is _CASCADE:
            total[1] += sign * round(_SHARE * (1.0 - max(decision.probs.tolist())))
            self._arm(cells, tenant, decision.arm)[0] += sign

    def on_answer(self, decision: Decision, outcome: Outcome, *, sign: int = 1) -> None:
        """Add what came of a decision, once both are known; with `sign` -1 take it away."""
        status = outcome.status
        if status is _LOST or decision.at < self._since:
            return
        cells, tenant = self._buckets.at(decision.at), self._counted[decision.tenant]
        if decision.mode is _SHADOW or decision.objective == JUDGE:
            self._total(cells, tenant)[2] += sign * round(_USD * (outcome.cost_usd or 0.0))
            return
        if outcome.tried and (status is not _OK or outcome.attempts > 1):
            for name in outcome.failed_arms:
                self._arm(cells, tenant, name)[2] += sign
        if status in _FAILED and not outcome.tried:  # as before attempts were kept
            self._arm(cells, tenant, outcome.arm)[2] += sign
        for call in outcome.calls if outcome.stages else (outcome,):
            self._arm(cells, tenant, call.arm)[3] += sign * round(_USD * (call.cost_usd or 0.0))
        if status is _OK:
            served = self._arm(cells, tenant, outcome.arm)
            served[1] += sign
            served[4] += sign * round(_S * outcome.latency_s)

    def on_reward(self, decision: Decision, before: AttributedReward | None, after: AttributedReward | None) -> None:
        """Take what was said of an answer away, and add what is said of it now.

        Who named an arm had a reason: what is said of its answer is counted, and no part of the arm's rewards.
        """
        mode = decision.mode
        if mode is _SHADOW or decision.objective == JUDGE or decision.at < self._since:
            return
        is_drawn = mode is _ROUTE or mode is _CASCADE or mode is _STICKY
        cells, tenant = self._buckets.at(decision.at), self._counted[decision.tenant]
        for credit, sign in ((before, -1), (after, 1)):
            if credit is None:
                continue
            w = credit.reward.weight
            if w <= 0:
                continue
            wq = w * credit.reward.quality
            self._total(cells, tenant)[3 + _delay_bin(decision.at, credit)] += sign
            if not is_drawn:
                continue
            sums = self._arm(cells, tenant, credit.arm)
            sums[5] += sign
            sums[6] += sign * round(_WEIGHT * w)
            sums[7] += sign * round(_QUALITY * wq)
            sums[8] += sign * round(_QUALITY * wq * credit.reward.quality)
            sums[9] += sign * round(_WEIGHT * w * w)

    def counted_as(self, tenant: str) -> str:
        """Return under which name a tenant's sums stand: its own, or `OTHERS`."""
        return self._counted.name_of(tenant)

    def buckets(self, tenant: str | None = None, *, since: float = 0.0) -> Iterator[HistoryBucket]:
        """Yield the buckets that end after `since` (seconds since the epoch), in order; None: of all tenants."""
        for start, end, cells in self._buckets:
            if end <= since:
                continue
            sums: defaultdict[str, list[list[int]]] = defaultdict(list)
            for (own, name), numbers in cells.items():
                if tenant is None or own == tenant:
                    sums[name].append(numbers)
            added = {name: [*map(sum, zip(*parts, strict=True))] for name, parts in sums.items()}
            total = added.pop(_ALL_ARMS, [0] * _TOTAL_SIZE)
            arms = {name: ArmSums.of(numbers) for name, numbers in sorted(added.items())}
            yield HistoryBucket(start, end, TotalSums.of(total), arms)

    def distance(self, other: "History") -> float:
        """Return the largest difference of two sums over all time, in shares of the larger where that is above 1.

        What falls into which bucket depends on the newest decision there was, and changes are never taken back: of
        both there is no difference; nor is there of histories that begin at different moments.
        """
        if self._since != other._since:
            return 0.0
        sums, others = self._sums(), other._sums()
        nothing = [0] * max(_ARM_SIZE, _TOTAL_SIZE)
        pairs = (
            pair
            for cell in sums.keys() | others.keys()
            for pair in zip(sums.get(cell, nothing), others.get(cell, nothing), strict=False)
        )
        return max((abs(a - b) / max(abs(a), abs(b), 1.0) for a, b in pairs), default=0.0)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        return {
            "buckets": self._buckets.to_json(),
            "tenants": list(self._counted.own),
            "changes": self.changes.to_json(),
            **({"since": self._since} if self._since else {}),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], *, at: EventId = START) -> "History":
        """Return what `to_json` wrote, or for nothing an empty one that begins at a place of the log.

        Raises LookupError, TypeError, ValueError.
        """
        history = cls(float(values.get("since", 0.0)) if values else milliseconds_of(at) / 1000)
        if values:
            history._buckets = TimeBuckets.from_json(values["buckets"])
            for tenant in values["tenants"]:
                history._counted[str(tenant)]
            history.changes = ChangeList.from_json(values["changes"])
        return history

    def _sums(self) -> dict[tuple[str, str], list[int]]:
        sums: dict[tuple[str, str], list[int]] = {}
        for _, _, cells in self._buckets:
            for cell, numbers in cells.items():
                before = sums.get(cell)
                sums[cell] = numbers if before is None else [a + b for a, b in zip(before, numbers, strict=True)]
        return sums

    def _arm(self, cells: Cells, tenant: str, name: str) -> list[int]:
        return cells.get((tenant, name)) or self._buckets.add_cell(cells, (tenant, name), _ARM_SIZE)

    def _total(self, cells: Cells, tenant: str) -> list[int]:
        return cells.get((tenant, _ALL_ARMS)) or self._buckets.add_cell(cells, (tenant, _ALL_ARMS), _TOTAL_SIZE)


def _delay_bin(asked_at: float, credit: AttributedReward) -> int:
    """Return in which bin of `DELAYS_S` the delay of the first standing word on an answer is."""
    said = [part.feedback.at for part in credit.contributions if part.status is _COUNTS]
    return bisect_left(DELAYS_S, min(said) - asked_at) if said else 0
