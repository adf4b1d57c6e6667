"""From a query to the arms that can answer it, with what a call to each is expected to cost."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from highwayman.bandit.candidates import Candidates
from highwayman.bandit.decision import Dial
from highwayman.env.cost.objective import Objective
from highwayman.env.cost.switching import CacheSaving, cache_saving, switch_penalties
from highwayman.env.cost.usage import GUESSED_ANSWER_TOKENS
from highwayman.env.load.queueing import QueueState
from highwayman.env.pool.believed_pool import Answerable
from highwayman.env.pool.eligibility import Pool, answer_tokens
from highwayman.env.types import RESTING_FLAG, Arm, ArmState, Context, Decision, Floats, Query
from highwayman.feedback.fold.tally_quotes import TallyQuotes
from highwayman.serving.completions.conversations.continuation import Continuation
from highwayman.serving.completions.routing.spend_tracker import SpendTracker
from highwayman.serving.state.live_policy import LivePolicy


@dataclass(slots=True)
class CandidateFinder:
    """Asks the pool who may answer, and prices them by what is known of their calls."""

    pool: Pool
    live: LivePolicy
    spend_tracker: SpendTracker
    arms: Mapping[str, Arm] = field(init=False)  # of the pool, when this was made
    quotes: TallyQuotes = field(init=False)  # what the tally followed last says of them
    _has_probation: bool = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is known of any arm yet."""
        self.arms = self.pool.arms
        arms = tuple(self.arms.values())
        self.quotes = TallyQuotes(arms)
        self._has_probation = any(arm.state is ArmState.PROBATION for arm in arms)

    def answerable(self, query: Query, context: Context) -> tuple[Answerable, Context]:
        """Return the arms that may answer, and the context with those that rest among its flags.

        Raises NoEligibleArm.
        """
        quotes = self.quotes
        answerable = self.pool.all_answerable(query, quotes.most_prompt_tokens(context))
        if answerable is None:
            answerable = self.pool.answerable(query, quotes.prompt_tokens(context))
        if answerable.resting:
            resting = {RESTING_FLAG + name for name in answerable.resting}
            context = replace(context, flags=context.flags | resting)
        return answerable, context

    def priced(
        self,
        answerable: Answerable,
        query: Query,
        context: Context,
        objective: Objective,
        *,
        continuation: Continuation,
        at: float,
    ) -> Candidates:
        """Return the arms with what a call to each is expected to cost, and its chance to be answered."""
        quotes = self.quotes
        estimates = quotes.estimates(
            context,
            max_tokens=query.max_tokens,
            under_way=self.spend_tracker.in_flight,
            queue=self._queue if objective.points_per_s else None,  # nobody else asks for seconds
        )
        usd, chances = estimates.usd, quotes.chances(at)
        penalties = objective.penalties(usd, estimates.latency_s, estimates.wh)
        most_usd = None
        if self.spend_tracker.is_hard:
            most_usd = quotes.most_usd(context, max_tokens=query.max_tokens, answers=query.answers)
        if answerable.places is not None:
            most_usd = None if most_usd is None else most_usd[answerable.places]
            usd, penalties = usd[answerable.places], penalties[answerable.places]
            chances = None if chances is None else chances[answerable.places]
        if continuation.holder in answerable.names:
            cached_tokens = continuation.cached_share * context.prompt_tokens
            penalties = penalties + switch_penalties(
                answerable.names,
                estimates.by_arm(tuple(self.pool.arms)),
                objective,
                holder=continuation.holder or "",
                savings={arm.name: self._saving(arm, cached_tokens) for arm in answerable.arms},
            )
        probation_usd = self._probation_usd(answerable) if self._has_probation else None
        return Candidates(answerable.names, usd, penalties, probation_usd, chances, most_usd=most_usd)

    def seconds(self, names: tuple[str, ...], query: Query, context: Context) -> Floats:
        """Return the seconds that an answer of each arm is expected to take, (K,), 0 where nobody can know."""
        estimates = self.quotes.estimates(
            context, max_tokens=query.max_tokens, under_way=self.spend_tracker.in_flight, queue=self._queue
        ).by_arm(tuple(self.pool.arms))
        return np.array([estimates[name].latency_s or 0.0 for name in names])

    def expected_use(self, decision: Decision, query: Query) -> tuple[int, float]:
        """Return the tokens and dollars that a call is expected to take; a stored answer takes none.

        It is the mean over the arms that could be drawn, by their probabilities. Were it of the arm drawn alone, limits
        that are nearly reached would refuse draws of dear arms, and those that are left on the log would not have been
        drawn with the propensities they have.
        """
        context, quotes, tokens, dollars = decision.context, self.quotes, 0.0, 0.0
        probs = dict(zip(decision.arms, decision.probs.tolist(), strict=True))
        prompts = quotes.prompt_tokens(context).tolist()
        prices: Floats = np.nan_to_num(quotes.estimates(context, max_tokens=query.max_tokens).usd)
        for arm, prompt, usd in zip(self.arms, prompts, prices.tolist(), strict=True):
            prob = probs.get(arm, 0.0)
            if prob > 0:
                use = quotes.token_use(arm)
                answer = use.tokens_out / use.calls if use.calls else GUESSED_ANSWER_TOKENS
                answer = answer if query.max_tokens is None else min(answer, query.max_tokens)
                tokens += prob * (prompt + query.answers * answer)
                dollars += prob * usd
        return math.ceil(tokens), dollars

    def needed_tokens(self, arm: Arm, query: Query, context: Context) -> int:
        """Return the tokens of an arm's window that its prompt, as far as that is learned, and its answer take."""
        return self.quotes.prompt_tokens_of(arm.name, context) + answer_tokens(arm, query)

    def with_cached(self, candidates: Candidates, arm: Arm, objective: Objective) -> Candidates:
        """Return the candidates and, last of them, an arm that gives a stored answer: it costs nothing but seconds."""
        known = self.live.tally.arms.get(arm.name)
        latency_s = known.latency_s / known.calls if known is not None and known.calls else 0.0
        penalty = objective.penalties(np.zeros(1), np.array([latency_s]), np.zeros(1))
        probation_usd, chances, most_usd = candidates.probation_usd, candidates.chances, candidates.most_usd
        return Candidates(
            (*candidates.arms, arm.name),
            np.append(candidates.usd, 0.0),
            np.append(candidates.penalties, penalty),
            None if probation_usd is None else [*probation_usd, None],
            None if chances is None else np.append(chances, 1.0),
            most_usd=None if most_usd is None else np.append(most_usd, 0.0),
        )

    def _saving(self, arm: Arm, cached_tokens: float) -> CacheSaving:
        return cache_saving(arm, self.quotes.token_use(arm.name), cached_tokens)

    def _probation_usd(self, answerable: Answerable) -> list[float | None] | None:
        """Return what each arm on probation has cost so far, None for the others; None if there is none."""
        on_probation = [arm.state is ArmState.PROBATION for arm in answerable.arms]
        if not any(on_probation):
            return None
        return [
            self.spend_tracker.spent_usd(name) if is_on_probation else None
            for name, is_on_probation in zip(answerable.names, on_probation, strict=True)
        ]

    def _queue(self, name: str) -> QueueState | None:
        """Return what is measured of an arm's load: by its servers, or else by the calls from here."""
        return self.pool.loads.queue(self.pool.arms[name]) or self.spend_tracker.queue(name)


def dials(
    objectives: Mapping[str, Objective], candidates: Candidates, priced: Callable[..., Candidates]
) -> dict[str, Dial]:
    """Return what each objective makes each arm carry beyond what it carries, by name and arm."""
    by_name: dict[str, Dial] = {}
    for name, objective in objectives.items():
        beyond = (priced(objective=objective).penalties - candidates.penalties).tolist()
        by_name[name] = dict(zip(candidates.arms, beyond, strict=True))
    return by_name
