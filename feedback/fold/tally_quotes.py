"""What calls to a pool's arms are expected to take, as a tally has it: its word is taken once a version, as vectors."""

from collections.abc import Callable, Sequence

import numpy as np

from highwayman.env.cost.quotes import PoolEstimates, PoolQuotes
from highwayman.env.cost.usage import TokenUse
from highwayman.env.load.queueing import QueueState
from highwayman.env.types import Arm, Context, Floats
from highwayman.feedback.fold.tallies.arm_tally import ArmTally
from highwayman.feedback.fold.tallies.call_amounts import AnswerLevels
from highwayman.feedback.fold.tally import Tally

_NO_CALLS = ArmTally()


class TallyQuotes:
    """Prices calls to the K arms of a pool, in its order, by the tally that it was told to follow last."""

    def __init__(self, arms: Sequence[Arm]) -> None:
        """Take the pool's arms."""
        self._names = tuple(arm.name for arm in arms)
        self._places = {name: place for place, name in enumerate(self._names)}
        self._quotes = PoolQuotes(arms)
        self._revision: tuple[int, ...] = ()
        self._tally = Tally()
        self.follow(self._tally)

    def follow(self, tally: Tally) -> None:
        """Go by a tally, as it is now; nothing if it is the one followed already, and nothing was added to it."""
        revision = tally.revision, tally.amounts.revision
        if tally is self._tally and revision == self._revision:
            return
        self._tally, self._revision = tally, revision
        arms = [tally.arms.get(name, _NO_CALLS) for name in self._names]
        self._quotes.on_calls([arm.token_use for arm in arms])
        self._levels: AnswerLevels = tally.amounts.levels(self._names, self._quotes.samples)
        self._failing = [(k, arm.answer_rate) for k, arm in enumerate(arms) if arm.answer_rate.failed > 0.0]

    def token_use(self, arm: str) -> TokenUse:
        """Return what an arm's calls have used."""
        return self._tally.arms.get(arm, _NO_CALLS).token_use

    def prompt_tokens(self, context: Context) -> Floats:
        """Return how many tokens the prompt has for each arm's own tokenizer, (K,), as far as it is learned."""
        return self._quotes.prompt_tokens(context.prompt_tokens, script=context.script)

    def most_prompt_tokens(self, context: Context) -> int:
        """Return how many tokens the prompt has at most, for whichever arm."""
        return self._quotes.most_prompt_tokens(context.prompt_tokens, script=context.script)

    def prompt_tokens_of(self, arm: str, context: Context) -> int:
        """Return how many tokens the prompt has for an arm of the pool's; as estimated, for one that has left it."""
        if arm not in self._places:
            return max(context.prompt_tokens, 1)
        return self._quotes.prompt_tokens_of(self._places[arm], context.prompt_tokens, script=context.script)

    def estimates(
        self,
        context: Context,
        *,
        max_tokens: int | None = None,
        under_way: Callable[[str], int] = lambda arm: 0,
        queue: Callable[[str], QueueState | None] | None = None,
    ) -> PoolEstimates:
        """Return what a call to each arm is expected to take.

        Args:
            context: of the query.
            max_tokens: the caller's limit on the answer.
            under_way: calls to an arm that have not ended.
            queue: what is measured of an arm's load, if anything is; None: nobody asks for seconds.
        """
        latencies_s = None
        if queue is None:
            tokens_out = self._levels.tokens_out(context.features)
        else:
            tokens_out, usual_s = self._levels.expected(context.features)
            latencies_s = self._quotes.latencies_s(usual_s, under_way, queue)
        return self._quotes.estimates(
            context.prompt_tokens, tokens_out, latencies_s, script=context.script, max_tokens=max_tokens
        )

    def most_usd(self, context: Context, *, max_tokens: int | None, answers: int) -> Floats:
        """Return what a call to each arm can cost at most, (K,); NaN where nobody can tell."""
        return self._quotes.most_usd(
            context.prompt_tokens, script=context.script, max_tokens=max_tokens, answers=answers
        )

    def chances(self, at: float) -> Floats | None:
        """Return the chance of each arm to answer a call at `at`, (K,), seconds since the epoch; None: all are 1."""
        if not self._failing:
            return None
        chances = np.ones(len(self._names))
        for k, rate in self._failing:
            chances[k] = rate.chance(at)
        return chances
