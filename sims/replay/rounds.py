"""The rounds of a replay: what another policy would have done at each decision, and what the log says came of it."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np

from highwayman.bandit.candidates import Candidates
from highwayman.bandit.cascade.returns import cascade_return, charged_penalties, options_of
from highwayman.bandit.decision import ExplorationRules, decision_probs
from highwayman.env.cost.objective import Objective
from highwayman.env.types import NO_EXPLORATION, Arm, ArmState, Decision, Floats, Mode
from highwayman.feedback.fold.join import stages_at
from highwayman.feedback.fold.learner import Learner
from highwayman.feedback.fold.tally_quotes import TallyQuotes
from highwayman.feedback.log.record import Record
from highwayman.sims.logs.logged import Bools, Indices, LoggedData
from highwayman.sims.replay.conversations import SessionAssigner


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """What would have been otherwise."""

    rules: ExplorationRules  # each policy in question counts for itself what a cap among them grants
    objective: Objective | None = None  # what counts how much; None: with the penalties that were logged
    pool: tuple[Arm, ...] = ()  # with their prices and states; needed for an objective, and for a cap in dollars
    without: frozenset[str] = frozenset()  # arms that would not have been there
    cascade: bool = True  # whether answers would have been gone on from, where and as the log's were

    def __post_init__(self) -> None:
        """Raise ValueError for an objective, or a cap in dollars, without prices."""
        if self.objective is not None and not self.pool:
            raise ValueError("an objective needs the pool's prices: give the pool file, too")
        if self.rules.cap is not None and self.rules.cap.counts_usd and not self.pool:
            raise ValueError("a cap on exploration in dollars needs the pool's prices: give the pool file, too")


_REASONS: Final = {
    "not_routed": "forced, sticky or shadow: nothing was drawn",
    "cascades": "cascades of which it is not known what would have followed: of before option values were logged, with "
    "arms left out, or an answer that could not have been kept",
    "unexplored": "without exploration (a tool loop, a later turn, a single arm): they tell nothing of other arms, and "
    "the estimates speak of the rest only",
    "other_encoder": "features of another encoder",
    "unpriced": "an arm that the pool file does not price",
    "unanswerable": "no eligible arm without those left out",
    "failed_over": "answered by another arm than the one drawn",
    "erased": "erased",
}
_CERTAIN: Final = 1.0 - 1e-9  # a propensity that leaves other arms nothing


def was_drawn(propensities: Floats) -> Bools:
    """Return which rounds (n,) say anything of other arms than the one taken."""
    drawn: Bools = propensities < _CERTAIN
    return drawn


@dataclass(slots=True)
class ReplayCounts:
    """What became of the log's decisions."""

    decisions: int = 0
    rounds: int = 0  # that an estimate can use, with feedback or without
    conversational: int = 0  # of these rounds, those whose reward was said of several draws
    not_routed: int = 0  # forced, sticky or shadow: nothing was drawn
    cascades: int = 0  # what would have followed on their first answers is not known
    unexplored: int = 0  # drawn with probability 1: no other arm could have been
    other_encoder: int = 0  # on features of another encoder
    unpriced: int = 0  # an eligible arm is not in the pool given
    unanswerable: int = 0  # no arm that would have been there was eligible
    failed_over: int = 0  # answered by another arm than the one drawn
    erased: int = 0

    def left_out(self) -> list[str]:
        """Return why decisions cannot be used, and how many of them, in words."""
        return [f"{number:,} {reason}" for name, reason in _REASONS.items() if (number := getattr(self, name))]

    def add(self, other: "ReplayCounts") -> None:
        """Add another log's counts."""
        for count in fields(self):
            setattr(self, count.name, getattr(self, count.name) + getattr(other, count.name))


@dataclass(frozen=True, slots=True, eq=False)
class ReplayChunk:
    """Rounds, and what the policy in question would have done in each."""

    log: LoggedData
    target: Floats  # (n, K)
    others: Floats  # (n,) ratio of the other draws that the reward speaks of; 1 where there are none
    draws: Floats  # (n,) their number, and this one


@dataclass(frozen=True, slots=True, eq=False)
class _TargetDecision:
    """What the policy in question would have done at a decision, over the decision's arms."""

    probs: Floats
    penalties: Floats
    session: int


@dataclass(frozen=True, slots=True, eq=False)
class _Round:
    decision: Decision
    target: _TargetDecision
    reward: float
    weight: float  # of the reward, as the learner counts it; 1 where there is none
    cost_usd: float
    others: float
    draws: int
    further_penalty: float  # of the arms that were asked after the one drawn


class CounterfactualObserver:
    """An observer of the fold: takes the policy's probabilities, and keeps the rounds whose rewards are final."""

    def __init__(
        self, learner: Learner, counterfactual: Counterfactual, counts: ReplayCounts, conversations: SessionAssigner
    ) -> None:
        """Take the learner of the fold, the circumstances, where to count, and what belongs together."""
        self._conversations = conversations
        self._learner = learner
        self._counterfactual = counterfactual
        self._rules = deepcopy(counterfactual.rules)
        self._counts = counts
        self._places = {arm.name: place for place, arm in enumerate(counterfactual.pool)}
        self._quotes = TallyQuotes(counterfactual.pool)
        self._probation = {arm.name for arm in counterfactual.pool if arm.state is ArmState.PROBATION}
        self._open: dict[str, _TargetDecision] = {}
        self.ready: list[_Round] = []

    def on_decision(self, decision: Decision, learner: Learner) -> None:
        """Put down what the policy would have done, knowing the log up to here."""
        self._counts.decisions += 1
        session = self._conversations.session(decision)
        context = learner.context_of(decision)
        is_kept = np.array([arm not in self._counterfactual.without for arm in decision.arms])
        options = options_of(decision) if decision.mode is Mode.CASCADE else None
        if decision.mode is Mode.CASCADE and (options is None or not is_kept.all()):
            self._counts.cascades += 1
        elif decision.mode not in (Mode.ROUTE, Mode.CASCADE):
            self._counts.not_routed += 1
        elif decision.propensity >= _CERTAIN:
            self._counts.unexplored += 1
        elif context is None:
            self._counts.other_encoder += 1
        elif not is_kept.any():
            self._counts.unanswerable += 1
        elif self._counterfactual.objective is not None and not self._places.keys() >= set(decision.arms):
            self._counts.unpriced += 1
        else:
            target = self._target_decision(replace(decision, context=context), np.flatnonzero(is_kept), session)
            self._conversations.on_draw(decision, float(target.probs[decision.action]) / decision.propensity)
            self._open[decision.id] = target

    def on_record_final(self, record: Record) -> None:
        """Keep the round, if the policy has probabilities for it and its outcome is of the arm drawn."""
        decision = record.decision
        target = self._open.pop(decision.id, None) if decision is not None else None
        if decision is None or target is None:
            return
        context = self._learner.context_of(decision)
        decision = decision if context is None else replace(decision, context=context)
        attributed, outcome = self._learner.attribute_reward(record), record.outcome
        if attributed is None:
            self._counts.erased += 1
            return
        stages = stages_at(record) if decision.mode is Mode.CASCADE else ()
        result = cascade_return(stages, dict(zip(decision.arms, target.penalties.tolist(), strict=True)))
        if (stages[0].arm if stages else attributed.arm) != decision.arm:
            self._counts.failed_over += 1
        elif result.is_certain and not self._counterfactual.cascade:
            self._counts.cascades += 1
        else:
            self._counts.rounds += 1
            quality, weight = attributed.reward.quality, attributed.reward.weight
            reward = (quality, weight) if weight > 0 else (np.nan, 1.0)
            cost = outcome.cost_usd if outcome is not None and outcome.cost_usd is not None else np.nan
            others, number = self._conversations.others(decision, attributed.contributions)
            self._counts.conversational += number > 0
            if stages and not self._counterfactual.cascade:
                others, number = others * result.kept_ratio, number + 1
                cost = np.nan if stages[0].cost_usd is None else stages[0].cost_usd
            self.ready.append(_Round(decision, target, *reward, cost, others, 1 + number, result.further_penalty))

    def take_ready(self, arms: Sequence[str]) -> ReplayChunk:
        """Return the rounds that are ready, over all of the log's arms, and begin anew."""
        rounds, self.ready = self.ready, []
        column_of = {arm: k for k, arm in enumerate(arms)}
        target, penalties = np.zeros((len(rounds), len(arms))), np.zeros((len(rounds), len(arms)))
        eligible = np.zeros(target.shape, dtype=np.bool_)
        for row, round_ in enumerate(rounds):
            columns = [column_of[arm] for arm in round_.decision.arms]
            target[row, columns], penalties[row, columns] = round_.target.probs, round_.target.penalties
            penalties[row, column_of[round_.decision.arm]] += round_.further_penalty
            eligible[row, columns] = round_.decision.probs > 0
        log = LoggedData(
            arms=tuple(arms),
            contexts=np.array([round_.decision.context.features for round_ in rounds]),
            eligible=eligible,
            actions=np.array([column_of[round_.decision.arm] for round_ in rounds], dtype=np.intp),
            propensities=np.array([round_.decision.propensity for round_ in rounds]),
            rewards=np.array([round_.reward for round_ in rounds]),
            costs_usd=np.array([round_.cost_usd for round_ in rounds]),
            penalties=penalties,
            sessions=np.array([round_.target.session for round_ in rounds], dtype=np.int64),
            at=np.array([round_.decision.at for round_ in rounds]),
            encoder=self._learner.fingerprint,
            weights=np.array([round_.weight for round_ in rounds]),
        )
        others, draws = np.array([(round_.others, round_.draws) for round_ in rounds], dtype=np.float64).T
        return ReplayChunk(log, target, others, draws)

    def _target_decision(self, decision: Decision, columns: Indices, session: int) -> _TargetDecision:
        """Return what the policy would have done over the decision's arms, had only those at `columns` been there."""
        arms = tuple(decision.arms[k] for k in columns)
        for arm in arms:
            if arm not in self._learner.tally.arms:  # a pool file may have brought it without a word on the log
                self._learner.add_arm(arm)
        charged, usd = self._price(decision)
        options = options_of(decision) if self._counterfactual.cascade else None
        penalties = charged if options is None else charged - options
        probs = np.zeros(len(decision.arms))
        probs[columns] = decision_probs(
            self._learner.policy_for(decision.tenant),
            decision.context,
            Candidates(
                arms, usd[columns], penalties[columns], self._probation_usd(arms), self._chances(arms, decision.at)
            ),
            self._rules,
            explores=NO_EXPLORATION not in decision.context.flags,
            at=decision.at,
        )
        return _TargetDecision(probs, charged, session)

    def _price(self, decision: Decision) -> tuple[Floats, Floats]:
        """Return the penalty of each of the decision's arms, (K,), and the dollars a call is expected to cost, (K,).

        Dollars are NaN where no pool file says what the arms cost.
        """
        if not self._places.keys() >= set(decision.arms):
            return charged_penalties(decision), np.full(len(decision.arms), np.nan)
        objective = self._counterfactual.objective
        self._quotes.follow(self._learner.tally)
        has_seconds = objective is not None and objective.points_per_s > 0
        estimates = self._quotes.estimates(decision.context, queue=_no_queue if has_seconds else None)
        places = [self._places[arm] for arm in decision.arms]
        penalties = charged_penalties(decision) if objective is None else estimates.penalties(objective)[places]
        return penalties, estimates.usd[places]

    def _probation_usd(self, arms: Sequence[str]) -> list[float | None] | None:
        """Return what each arm on probation has cost so far, None for the others; None if there is none."""
        if self._probation.isdisjoint(arms):
            return None
        return [self._learner.tally.arm(arm).cost_usd if arm in self._probation else None for arm in arms]

    def _chances(self, arms: Sequence[str], at: float) -> Floats | None:
        """Return each arm's chance to answer at all, (K,); None where the penalties on the log have it already."""
        if self._counterfactual.objective is None:
            return None
        return np.array([self._learner.tally.arm(arm).answer_rate.chance(at) for arm in arms])


def _no_queue(arm: str) -> None:
    """Return that nothing is known of an arm's load: the log does not say."""
