"""A plan that may answer with one arm, look at the answer, and go on to another: solved anew after every answer."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from highwayman.bandit.candidates import Candidates
from highwayman.bandit.cascade.gates import ESTIMATE, EXPECTED, NEXT_EXPECTED, Gates
from highwayman.bandit.cascade.ignorance import Judgement, hoped_quality, untold
from highwayman.bandit.draw import Floor, draw, one_hot_argmax
from highwayman.bandit.policy import Policy, PredictsQuality, QuantifiesQuality
from highwayman.bandit.priced_floor import FLOOR_LOSS, priced_floor
from highwayman.env.types import Context, Floats

GOOD = "good"  # names the learned gate among the signals
_UNKNOWN_QUALITY = 0.5  # of an arm, where the policy does not say what it expects
_OPTIMISM = 8.0  # deviations times both shares of answers, at most a quarter; see `option_values`
_LEAST_TOLD = 0.001  # quality units by which looking at an answer must be better than to do the same whatever it says


@dataclass(frozen=True, slots=True)
class LookedAt:
    """An answer that lies there, not yet served."""

    arm: str
    signals: Mapping[str, float]  # by name, finite; what was not told is missing


@dataclass(frozen=True, slots=True)
class StageChoice:
    """Whether the last answer is served or the next arm is asked, as it was drawn."""

    good: float  # probability that the answer is good
    goes_on: float  # probability with which the next arm was to be asked
    went_on: bool
    next_arm: str  # who is asked, or would have been; empty: nobody is left
    signals: Mapping[str, float]  # for the log: those seen, and what was expected


@dataclass(frozen=True, slots=True)
class Threshold:
    """Goes on whenever a signal is below a number, from the cheapest arm to the next dearer one.

    FrugalGPT (Chen, Zaharia & Zou, 2023, arXiv 2305.05176) with a learned gate (`good`), AutoMix (Aggarwal et al.,
    NeurIPS 2024, arXiv 2310.12963) with self-verification (`verified`), margin deferral (Ramirez et al., 2024, arXiv
    2405.02134) with `first_margin`. An answer that does not tell the signal is served.
    """

    signal: str
    below: float


@dataclass(frozen=True, slots=True)
class CascadeRules:
    """What a plan may do."""

    max_stages: int = 2  # answers at most, the one served among them
    floor: float = 0.02  # probability at most with which the other of staying and going on is drawn
    floor_loss: float = FLOOR_LOSS  # quality minus penalty that this may lose a request
    begin_with_cheapest: bool = False  # as plain cascades do; else with whom the plan says, if it is a cascade at all
    threshold: Threshold | None = None  # begins with the cheapest arm, too, and decides instead of the plan

    def __post_init__(self) -> None:
        """Raise ValueError for what cannot be."""
        if self.max_stages < 2:
            raise ValueError(f"max_stages must be at least 2 (an answer and another), got {self.max_stages!r}")
        if not 0.0 <= self.floor <= 0.5:
            raise ValueError(f"floor must be in [0, 0.5], got {self.floor!r}")
        if not self.floor_loss >= 0.0:
            raise ValueError(f"floor_loss must be >= 0, got {self.floor_loss!r}")


@dataclass(frozen=True, slots=True, eq=False)
class CascadePlan:
    """Expected quality minus penalties, at its most over who is asked first, who next, and when it is enough.

    Dekoninck, Baader & Vechev, "A Unified Approach to Routing and Cascading for LLMs", ICML 2025 (arXiv 2410.10347): of
    all ways to go on from the answers that lie there the best one is taken, and chosen anew after the next answer.
    Theirs knows how good its estimates are; here they are learned on the way, so whether to go on is drawn. And only
    the last answer can be served, as its predecessors were rejected when they lay there.
    """

    rules: CascadeRules = field(default_factory=CascadeRules)
    gates: Gates = field(default_factory=Gates)  # published with the tally; new ones behave as if signals told nothing

    def option_values(
        self,
        policy: Policy,
        context: Context,
        candidates: Candidates,
        *,
        looking: Floats | None = None,
        explores: bool = True,
    ) -> Floats:
        """Return what it is worth to be able to go on from each arm's answer, (K,) >= 0, in quality units.

        0 where no cascade that begins with the arm is expected to be worth more than the best arm alone, or where
        looking would hardly change what is done: such an answer need not be looked at before it is passed on. An arm
        gets up to two standard deviations of what the policy expects, the more the more evenly its answers would be
        served and gone on from: who can go on from a bad answer loses little by trying an arm, and without it the few
        bad answers that an arm began with would decide (Auer, Cesa-Bianchi & Fischer, "Finite-time Analysis of the
        Multiarmed Bandit Problem", 2002; there the bonus is on the reward itself, and shrinks by a rule). An arm that
        would nearly always be served is no cascade: as much for it kept others from being begun.

        Args:
            policy: says what quality it expects.
            context: of the query.
            candidates: the arms that may answer, with what they cost.
            looking: price of looking at an arm's answer before it is passed on, (K,), in quality units; None: none.
            explores: whether arms may be taken for better than they are expected to be.
        """
        arms, penalties = candidates.arms, candidates.penalties
        if len(arms) < 2:
            return np.zeros(len(arms))
        if self.rules.begin_with_cheapest or self.rules.threshold is not None:
            first = one_hot_argmax(-_ranks(candidates))
            # Quality lies in [0, 1]: whatever is expected of the others, this one comes first.
            first *= 1.0 + float(penalties @ first) - float(penalties.min())
            return first
        expected, deviations = _beliefs(policy, context, arms)
        looks = self.gates.looks(arms, expected)  # (K, m)
        best = self._best_after(arms, expected, looks, penalties=penalties)
        worth = np.maximum(looks, best).mean(axis=1)
        told = worth - np.maximum(looks.mean(axis=1), best.mean(axis=1))
        if explores:
            more = self._hope_for_signals(arms, expected, worth, penalties=penalties)
            worth, told = worth + more, told + more
        gains = worth - expected if looking is None else worth - expected - looking
        if explores:
            goes_on = (looks < best).mean(axis=1)
            gains = gains + _OPTIMISM * deviations * goes_on * (1.0 - goes_on)
        alone = expected - penalties
        is_worth_it = (alone + gains > alone.max()) & (told > _LEAST_TOLD)
        options: Floats = np.where(is_worth_it, np.maximum(gains, 0.0), 0.0)
        return options

    def _best_after(self, arms: Sequence[str], expected: Floats, looks: Floats, *, penalties: Floats) -> Floats:
        """Return what it is worth to go on from each arm's answer to the best other arm, at m looks: (K, m)."""
        after = self.gates.going_on(arms, expected, looks) - penalties  # (K, m, K)
        after[np.arange(len(arms)), :, np.arange(len(arms))] = -np.inf
        best: Floats = after.max(axis=2)
        return best

    def _hope_for_signals(self, arms: Sequence[str], expected: Floats, worth: Floats, *, penalties: Floats) -> Floats:
        """Return what more to look at each arm's answers may be worth than it is by what signals have told, (K,).

        That is as much as if they told good from bad without fail, as far as feedback has not told yet what they do:
        who always asks the dear arm learns nothing of the cheap one's answers, so what is believed of them stays.
        """
        if not self.gates.has_signals:
            return np.zeros(len(arms))
        bad, labels = np.zeros((len(arms), 1)), self.gates.labels(arms)
        next_worth = np.maximum(self._best_after(arms, expected, bad, penalties=penalties)[:, 0], 0.0)
        hoped = hoped_quality(expected, labels)
        without_fail = hoped * np.maximum(1.0, next_worth) + (1.0 - hoped) * next_worth
        more: Floats = untold(labels) * np.maximum(without_fail - worth, 0.0)
        return more

    def with_options(
        self,
        policy: Policy,
        context: Context,
        candidates: Candidates,
        *,
        looking: Floats | None = None,
        explores: bool = True,
    ) -> Candidates:
        """Return the candidates with `option_values` taken off their penalties, for `decide`."""
        options = self.option_values(policy, context, candidates, looking=looking, explores=explores)
        return replace(candidates, penalties=candidates.penalties - options, options=options)

    def next_stage(
        self,
        policy: Policy,
        context: Context,
        candidates: Candidates,
        answered: Sequence[LookedAt],
        *,
        rng: np.random.Generator,
        explores: bool = True,
    ) -> StageChoice:
        """Return whether the last of the answers is served, drawn with one uniform number of `rng`.

        Args:
            policy: says what quality it expects.
            context: of the query.
            candidates: those that `decide` left, as `with_options` made them.
            answered: the answers so far, in order; all but the last were rejected.
            rng: gives one uniform number, whatever comes of it.
            explores: whether what looks worse may be drawn.

        Raises:
            ValueError: nobody has answered.
        """
        if not answered:
            raise ValueError("answered must hold at least the answer that lies there")
        last, (expected, judgement) = answered[-1], self._judged(policy, context, answered)
        signals = {**last.signals, EXPECTED: expected, ESTIMATE: judgement.estimate}
        asked = {answer.arm for answer in answered}
        left = candidates.where(np.array([arm not in asked for arm in candidates.arms]))
        if not left.arms or len(answered) >= self.rules.max_stages:
            rng.random()
            return StageChoice(judgement.good, 0.0, False, "", signals)
        quality = expected_quality(policy, context, left.arms)
        penalties = left.penalties if left.options is None else left.penalties + left.options
        worth, deviations = self.gates.next_quality(left.arms, quality, before=expected, good=judgement.good)
        place = self._next_place(candidates, left, last.arm, utilities=worth - penalties)
        if place is None:
            rng.random()
            return StageChoice(judgement.good, 0.0, False, "", signals)
        beliefs = np.array([judgement.good, worth[place]]), np.array([judgement.deviation, deviations[place]])
        costs = np.array([0.0, penalties[place]])
        stays = self._stays(beliefs[0] - costs, {**last.signals, GOOD: judgement.good})
        floor = self._floor(*beliefs, costs) if explores else 0.0
        keeps = 1.0 if stays else 0.0
        if explores and not stays and self.rules.threshold is None and self.rules.floor > 0.0 and last.signals:
            keeps = self._kept_to_learn(last.arm, *beliefs, costs)
        drawn = draw(np.array([keeps, 1.0 - keeps]), floor=floor, rng=rng)
        signals[NEXT_EXPECTED] = float(quality[place])
        return StageChoice(judgement.good, float(drawn.probs[1]), drawn.action == 1, left.arms[place], signals)

    def seen(self, policy: Policy, context: Context, answer: LookedAt) -> StageChoice:
        """Return the stage of an answer that was passed on as it came, and looked at afterwards: it teaches the gate.

        This is how a gate learns what signals tell before any cascade is worth it.
        """
        expected, judgement = self._judged(policy, context, [answer])
        signals = {**answer.signals, EXPECTED: expected, ESTIMATE: judgement.estimate}
        return StageChoice(judgement.good, 0.0, False, "", signals)

    def _judged(self, policy: Policy, context: Context, answered: Sequence[LookedAt]) -> tuple[float, Judgement]:
        """Return what was expected of the last answer before it was looked at, and what is believed of it now."""
        qualities = expected_quality(policy, context, [answer.arm for answer in answered])
        expected = float(qualities[0])
        judgement = self.gates.judge(answered[0].arm, expected, answered[0].signals)
        for answer, quality in zip(answered[1:], qualities[1:], strict=True):
            worth, _ = self.gates.next_quality([answer.arm], np.array([quality]), before=expected, good=judgement.good)
            expected = float(worth[0])
            judgement = self.gates.judge(answer.arm, expected, answer.signals)
        return expected, judgement

    def _next_place(self, candidates: Candidates, left: Candidates, last: str, *, utilities: Floats) -> int | None:
        """Return who of those left would be asked next: the best one, or by a threshold the next dearer one."""
        if self.rules.threshold is None:
            return int(utilities.argmax())
        ranks = dict(zip(candidates.arms, _ranks(candidates).tolist(), strict=True))
        dearer = [arm for arm in left.arms if ranks[arm] > ranks.get(last, -1.0)]
        return left.arms.index(min(dearer, key=lambda arm: ranks[arm])) if dearer else None

    def _stays(self, utilities: Floats, signals: Mapping[str, float]) -> bool:
        """Return whether the answer is to be served, for what serving it and going on are worth, (2,)."""
        threshold = self.rules.threshold
        if threshold is None:
            return bool(utilities[0] >= utilities[1])
        value = signals.get(threshold.signal)
        return value is None or value >= threshold.below

    def _kept_to_learn(self, arm: str, quality: Floats, deviations: Floats, costs: Floats) -> float:
        """Return the probability with which an answer is served although going on looks better, all of them (2,).

        The probability that serving it is better after all (Thompson, 1933); at least what feedback has not told of
        the arm's answers (`untold`). Only served answers get feedback: who rejects all of them is never told more.
        """
        gap = float(quality[1] - costs[1] - quality[0] + costs[0])
        better = 0.5 * math.erfc(gap / math.sqrt(2.0) / math.hypot(*deviations))
        return max(better, float(untold(self.gates.labels([arm]))[0]))

    def _floor(self, quality: Floats, deviations: Floats, penalties: Floats) -> Floor:
        """Return the least probabilities of serving the answer and of going on, (2,)."""
        even = 2.0 * self.rules.floor
        if self.rules.threshold is not None:
            return even
        return priced_floor(quality, deviations, penalties, floor=even, max_loss=self.rules.floor_loss)


def expected_quality(policy: Policy, context: Context, arms: Sequence[str]) -> Floats:
    """Return the quality that a policy expects of the arms' answers, (K,) in [0, 1], or one half if it does not say."""
    if not isinstance(policy, PredictsQuality):
        return np.full(len(arms), _UNKNOWN_QUALITY)
    expected: Floats = np.clip(policy.expected_quality(context, arms), 0.0, 1.0)
    return expected


def _beliefs(policy: Policy, context: Context, arms: Sequence[str]) -> tuple[Floats, Floats]:
    """Return the quality that a policy expects of the arms' answers, and its deviations, 0 if it tells none: (K,)."""
    if not isinstance(policy, QuantifiesQuality):
        return expected_quality(policy, context, arms), np.zeros(len(arms))
    expected, deviations = policy.quality_and_deviation(context.features, arms)
    return np.clip(expected, 0.0, 1.0), deviations


def _ranks(candidates: Candidates) -> Floats:
    """Return the place of each arm among them by its dollars, (K,), 0 the cheapest; one without a price comes last."""
    ranks = np.empty(len(candidates.arms))
    ranks[np.argsort(candidates.usd, kind="stable")] = np.arange(len(ranks))  # NaN sorts last
    return ranks
