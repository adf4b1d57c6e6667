"""What a challenger would have earned beyond the policy that decided, as far as the log tells: pure, revisable sums."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from highwayman.bandit import snapshot
from highwayman.env.errors import SnapshotError
from highwayman.env.types import ONLY_DRAWN, Decision, Floats, Outcome, Status
from highwayman.feedback.tournament.contrast import (
    Divergence,
    PolicyContrast,
    contrast,
    contrast_by_propensity,
    divergence,
)
from highwayman.feedback.tournament.level_watch import LevelWatch
from highwayman.feedback.tournament.paired_bets import FIRST_SPREAD, PairedBets, intervals, next_spread, stake_level
from highwayman.feedback.tournament.recent_contrasts import OpenRound, RecentContrasts, RoundContrast

WINDOW = 65_536  # decisions whose rewards are waited for
LEAST_ROUNDS = 100
LEAST_ESS = 50.0
MOST_UNSUPPORTED = 0.05
FAILURES, SECONDS, DOLLARS = METERS = ("failures", "seconds", "dollars")
_MOST_TIMES_MEAN = 4.0  # seconds and dollars of a call count up to so many times their mean
_FAILED = frozenset({Status.FAILED, Status.TIMEOUT})


@dataclass(frozen=True, slots=True)
class MeterVerdict:
    """How much more a challenger's calls take: a share of failures, else shares of the mean; wrong as in `Verdict`."""

    difference: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the log says of a challenger against the policy that decided, reward minus penalty, per round.

    Either end is wrong, ever, with a probability of at most the alpha it was asked for.
    """

    decisions: int  # scored since the champion last changed
    rounds: int  # of them, with a reward
    difference: float | None  # None without rounds
    low: float
    high: float
    ess: float  # effective rounds: (sum ratio)^2 / sum ratio^2
    mean_ratio: float | None  # 1 in expectation
    unsupported: float  # mean probability that the challenger gives arms that could not be drawn
    better: bool  # whether it is refuted that it is no better, and the log can tell
    worse: bool
    refused: str  # why the log cannot tell; empty: it can
    meters: dict[str, MeterVerdict]
    level: float  # mean reward, lately or before the champion changed
    fell: bool  # whether rewards have fallen below that since


class ChallengerScore:
    """Takes decisions with what a challenger would have done, then rewards as they come and change.

    A decision is scored before the challenger learns from it, with an expectation of that moment, so what comes of it
    is a line in its reward that is settled before the reward is. A revised reward takes its old value out again. Only
    the first word on a call's failure, seconds and dollars counts.
    """

    def __init__(self, *, window: int = WINDOW) -> None:
        """Start with nothing; a reward counts as long as its decision is among the last `window` scored."""
        self._recent = RecentContrasts(window)
        self._window = window
        self.watch = LevelWatch()
        self._means = {SECONDS: [0.0, 0.0], DOLLARS: [0.0, 0.0]}  # sum and number
        self._begin()

    def _begin(self) -> None:
        self._bets = PairedBets()
        self._meters = {name: PairedBets() for name in METERS}
        self._spread = FIRST_SPREAD
        self._decisions = 0
        self._unsupported = self._ratios = self._squares = 0.0

    def restart(self) -> None:
        """Begin anew against another champion: rounds of before do not count."""
        self._recent = RecentContrasts(self._window)
        self._begin()

    def on_decision(
        self,
        decision: Decision,
        challenger: Floats,
        quality: Floats,
        *,
        returns: Sequence[float | None] | None = None,
    ) -> None:
        """Score a decision that was drawn.

        Args:
            decision: of the log.
            challenger: (K,) its probabilities for the decision's arms, knowing what came before.
            quality: (K,) expected of each arm then.
            returns: as `contrast` takes them.
        """
        probs, logged, action, level = challenger.tolist(), decision.probs, decision.action, stake_level(self._spread)
        line: PolicyContrast | Divergence
        if ONLY_DRAWN in decision.context.flags or returns is not None:
            line = self._line(decision, probs, quality.tolist(), returns)
            self._recent.add(decision.id, RoundContrast(line.lower, line.upper, line.slope, level))
        else:
            line = divergence(probs, logged.tolist(), action)
            open_round = OpenRound(
                challenger, logged, action, line.scale, quality, decision.penalties, line.slope, level
            )
            self._recent.add_open(decision.id, open_round)
        self._spread = next_spread(self._spread, line.spread)
        self._decisions += 1
        self._unsupported += line.unsupported

    @staticmethod
    def _line(
        decision: Decision, probs: list[float], quality: list[float], returns: Sequence[float | None] | None
    ) -> PolicyContrast:
        penalties, logged = decision.penalties.tolist(), decision.probs.tolist()
        if ONLY_DRAWN in decision.context.flags:  # told by another router, which does not cascade here
            return contrast_by_propensity(probs, decision.propensity, decision.action, penalties=penalties)
        return contrast(probs, logged, decision.action, quality=quality, penalties=penalties, returns=returns)

    def on_reward(
        self,
        decision: Decision,
        before: float | None,
        after: float | None,
        *,
        shares: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        """Take what an event changed of the reward of the arm drawn, in [0, 1]; None: there is none.

        With shares, it counts so many times for the challenger, before and after: where that one would have served an
        answer from which the policy that decided may have gone on.
        """
        if before is None and after is not None:
            self.watch.observe(after)
        line = self._recent.get(decision.id)
        if line is None:
            return
        ratio = line.slope + 1.0
        for reward, share, sign in zip((before, after), shares, (-1, 1), strict=True):
            if reward is not None:
                lower = line.lower + ratio * share * reward - reward
                upper = line.upper + ratio * (1.0 - share * (1.0 - reward)) - reward
                self._bets.add(lower, upper, line.level, sign=sign)
                self._ratios += sign * ratio * share
                self._squares += sign * (ratio * share) ** 2

    def on_unsupported(self) -> None:
        """Count a round in which what the challenger would have done could not have been drawn."""
        self._unsupported += 1.0

    def on_outcome(self, outcome: Outcome, *, goes_on: bool = True) -> None:
        """Take how a call ended that a decision drew; the challenger may not go on from its first answer."""
        status = outcome.status
        line = self._recent.slope_and_level(outcome.decision_id) if status is Status.OK or status in _FAILED else None
        if line is None:
            return
        failed = status is not Status.OK or (len(outcome.tried) > 1 and bool(outcome.failed_arms))
        self._meter(FAILURES, float(failed), line)
        if failed:
            return
        first = outcome.stages[0] if outcome.stages and not goes_on else None
        own = {} if first is None else {SECONDS: first.seconds, DOLLARS: first.cost_usd or 0.0}
        for name, amount in ((SECONDS, outcome.latency_s), (DOLLARS, outcome.cost_usd)):
            sums = self._means[name]
            if amount is None:
                continue
            if sums[0] > 0:
                mean = sums[0] / sums[1]  # of the calls before
                self._meter(name, _in_means(amount, mean), line, _in_means(own.get(name, amount), mean))
            sums[0], sums[1] = sums[0] + amount, sums[1] + 1.0

    def _meter(self, name: str, amount: float, line: tuple[float, int], own: float | None = None) -> None:
        # The slope expects 0, so either end may be shifted by it: neither lies beyond what bets survive.
        own = amount if own is None else own  # the challenger's, were the same arm drawn
        slope, level = line
        low = (slope + 1.0) * own - amount
        self._meters[name].add(low, low - slope, level)

    def verdict(self, alpha: float) -> Verdict:
        """Return what is known by now, each end wrong with probability `alpha` at most, however often one looks."""
        (low, high), *ends = intervals([self._bets, *self._meters.values()], alpha)
        n = self._bets.n
        ess = self._ratios**2 / self._squares if n and self._squares > 0 else 0.0
        unsupported = self._unsupported / self._decisions if self._decisions else 0.0
        refused = _refusal(n, ess, unsupported)
        return Verdict(
            decisions=self._decisions,
            rounds=n,
            difference=self._bets.mean,
            low=low,
            high=high,
            ess=ess,
            mean_ratio=self._ratios / n if n else None,
            unsupported=unsupported,
            better=not refused and self._bets.exceeds(0.0, alpha),
            worse=self._bets.falls_below(0.0, alpha),
            refused=refused,
            meters={name: self._meter_verdict(name, *known) for name, known in zip(self._meters, ends, strict=True)},
            level=self.watch.mean,
            fell=self.watch.alarmed,
        )

    def _meter_verdict(self, name: str, low: float, high: float) -> MeterVerdict:
        mean, unit = self._meters[name].mean, 1.0 if name == FAILURES else _MOST_TIMES_MEAN
        return MeterVerdict(None if mean is None else unit * mean, unit * low, unit * high)

    def state(self) -> bytes:
        """Return everything, for `restore`."""
        arrays = {f"recent.{name}": values for name, values in self._recent.state().items()}
        for name, bets in {"reward": self._bets, **self._meters}.items():
            arrays |= {f"{name}.{key}": values for key, values in bets.state().items()}
        sums = [self._spread, float(self._decisions), self._unsupported, self._ratios, self._squares]
        numbers = {"sums": sums, "watch": self.watch.state(), "means": [*self._means[SECONDS], *self._means[DOLLARS]]}
        return snapshot.pack({"kind": "score"}, arrays | {name: np.array(values) for name, values in numbers.items()})

    def restore(self, state: bytes) -> None:
        """Go on from `state`. Raises SnapshotError for what is none."""
        header, arrays = snapshot.unpack(state)
        if header.get("kind") != "score":
            raise SnapshotError(f"snapshot is of {header.get('kind')!r}; wanted a score")
        try:
            self.restart()
            self._recent.restore(_part(arrays, "recent"))
            for name, bets in {"reward": self._bets, **self._meters}.items():
                bets.restore(_part(arrays, name))
            self._spread, decisions, self._unsupported, self._ratios, self._squares = arrays["sums"].tolist()
            self._decisions = round(decisions)
            self.watch = LevelWatch.from_state(arrays["watch"].tolist())
            means = arrays["means"].tolist()
            self._means = {SECONDS: means[:2], DOLLARS: means[2:]}
        except (LookupError, ValueError) as error:
            raise SnapshotError(f"score is damaged: {type(error).__name__}") from error


def _in_means(amount: float, mean: float) -> float:
    return min(amount / mean, _MOST_TIMES_MEAN) / _MOST_TIMES_MEAN


def _refusal(rounds: int, ess: float, unsupported: float) -> str:
    """Return why the log cannot tell, empty if it can."""
    if rounds < LEAST_ROUNDS:
        return f"{rounds} rounds with a reward, of at least {LEAST_ROUNDS}"
    if unsupported > MOST_UNSUPPORTED:
        return f"{unsupported:.1%} of its choices are arms that could not be drawn"
    return f"{ess:.0f} effective rounds, of at least {LEAST_ESS:.0f}" if ess < LEAST_ESS else ""


def _part(arrays: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    prefix = f"{name}."
    return {key.removeprefix(prefix): values for key, values in arrays.items() if key.startswith(prefix)}
