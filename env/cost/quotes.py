"""What calls to all arms of a pool are expected to take: `estimate_call` for all of them at once, as vectors."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from highwayman.env.cost.objective import Objective
from highwayman.env.cost.penalties import UsageEstimates
from highwayman.env.cost.usage import PER_MTOK, TokenUse, UsageEstimate, expected_latency_s, prompt_line, read_line
from highwayman.env.load.queueing import QueueState
from highwayman.env.quick_dataclass import quick_dataclass
from highwayman.env.types import Arm, Floats

_PROMPT_SURPRISE = 2.0  # times the tokens that a prompt is expected to have, that it has at most


@quick_dataclass(frozen=True, slots=True, eq=False)
class PoolEstimates:
    """What one call to each of the K arms of a pool is expected to take; NaN where nobody can know."""

    usd: Floats  # (K,) NaN: the arm has no price
    latency_s: Floats | None  # (K,) NaN: it has not answered yet; None: nobody asked
    wh: Floats | None  # (K,) NaN: the pool file does not say; None: of no arm

    def penalties(self, objective: Objective) -> Floats:
        """Return the penalty of each arm in quality units, (K,), as `arm_penalties` does."""
        return objective.penalties(self.usd, self.latency_s, self.wh)

    def by_arm(self, names: Sequence[str]) -> UsageEstimates:
        """Return the same by the arms' names, given in the pool's order."""
        nothing = [None] * len(names)
        columns = [
            nothing if amounts is None else [None if amount != amount else amount for amount in amounts.tolist()]  # noqa: PLR0124 (NaN)
            for amounts in (self.usd, self.latency_s, self.wh)
        ]
        return {name: UsageEstimate(*amounts) for name, *amounts in zip(names, *columns, strict=True)}


class _Lines:
    """Of one script: the tokens that each of K arms makes of a prompt, as lines over its estimate."""

    def __init__(self, count: int) -> None:
        self.uses: Sequence[TokenUse] = ()  # that they were computed from
        self.known: list[tuple[object, ...]] = [()] * count  # of each arm, that its lines hang on
        # A call reads overhead + ratio x, and its prompt has added + slope x for the arm's tokenizer; (K,) each.
        self.overhead, self.ratio, self.added, self.slope = np.zeros((4, count))
        self.each_added = self.each_slope = [0.0]  # the last two as plain numbers, for one arm's
        self.most_added = self.steepest = 0.0  # of all arms


class PoolQuotes:
    """Prices calls to a pool's K arms. What hangs on no prompt is computed once for what is known of an arm's calls."""

    def __init__(self, arms: Sequence[Arm]) -> None:
        """Take the arms, of whose calls nothing is known yet."""
        self._arms = tuple(arms)
        self.samples: Floats = np.array([float(max(arm.profile.best_of, 1)) for arm in arms])  # (K,)
        limits = [arm.profile.max_tokens for arm in arms]
        self._limits: Floats = self.samples * [np.inf if limit is None else float(limit) for limit in limits]
        self._is_limited = any(limit is not None for limit in limits)
        self._most_usd_in = np.array([_dearest_in(arm) for arm in arms])
        self._usd_in, self._usd_out = np.array([_prices(arm) for arm in arms]).reshape(-1, 2).T
        self._wh: Floats | None = None
        if any(arm.wh_per_mtok is not None for arm in arms):
            self._wh = np.array([np.nan if arm.wh_per_mtok is None else arm.wh_per_mtok for arm in arms])
        self._uses: Sequence[TokenUse] = [TokenUse()] * len(self._arms)
        self._lines = defaultdict[str, _Lines](lambda: _Lines(len(self._arms)))  # by script

    def on_calls(self, uses: Sequence[TokenUse]) -> None:
        """Take what each arm's calls have used so far, (K,)."""
        self._uses = uses

    def prompt_tokens(self, prompt_tokens: int, *, script: str = "") -> Floats:
        """Return how many tokens one prompt is expected to have for each arm, (K,), as `expected_prompt_tokens`."""
        lines = self._lines_of(script)
        tokens = lines.slope * prompt_tokens
        tokens += lines.added
        return np.maximum(np.ceil(tokens, out=tokens), 1.0, out=tokens)

    def most_prompt_tokens(self, prompt_tokens: int, *, script: str = "") -> int:
        """Return how many tokens `prompt_tokens` has at most, of whichever arm."""
        lines = self._lines_of(script)
        return max(math.ceil(lines.steepest * prompt_tokens + lines.most_added), 1)

    def prompt_tokens_of(self, place: int, prompt_tokens: int, *, script: str = "") -> int:
        """Return what `prompt_tokens` does for the arm at one place."""
        lines = self._lines_of(script)
        return max(math.ceil(lines.each_slope[place] * prompt_tokens + lines.each_added[place]), 1)

    def estimates(
        self,
        prompt_tokens: int,
        tokens_out: Floats,
        latency_s: Floats | None = None,
        *,
        script: str = "",
        max_tokens: int | None = None,
    ) -> PoolEstimates:
        """Return what a call to each arm is expected to take.

        Args:
            prompt_tokens: of the caller's prompt, estimated.
            tokens_out: (K,) of all samples of an answer, whatever its limits.
            latency_s: (K,) seconds with the queue there is, NaN where nobody knows; None: nobody asks for them.
            script: of the prompt.
            max_tokens: the caller's limit on the answer.
        """
        lines = self._lines_of(script)
        tokens_in = lines.ratio * prompt_tokens
        tokens_in += lines.overhead
        np.maximum(tokens_in, 1.0, out=tokens_in)
        if self._is_limited:
            tokens_out = np.minimum(tokens_out, self._limits)
        if max_tokens is not None:
            tokens_out = np.minimum(tokens_out, max_tokens * self.samples)
        usd = tokens_in * self._usd_in
        usd += tokens_out * self._usd_out
        usd *= PER_MTOK
        wh = None if self._wh is None else (tokens_in + tokens_out) * self._wh * PER_MTOK
        return PoolEstimates(usd, latency_s, wh)

    def most_usd(
        self, prompt_tokens: int, *, script: str = "", max_tokens: int | None = None, answers: int = 1
    ) -> Floats:
        """Return what a call to each arm can cost at most, (K,); NaN: nothing limits its answer, or it has no price.

        That is so if its server keeps to the limit on tokens, and makes no more than twice the tokens of the prompt
        that are expected of it.

        Args:
            prompt_tokens: of the caller's prompt, estimated.
            script: of the prompt.
            max_tokens: the caller's limit on an answer; the arm's profile may have one, too.
            answers: that the caller asks for.
        """
        lines = self._lines_of(script)
        tokens_in = _PROMPT_SURPRISE * np.maximum(lines.ratio * prompt_tokens + lines.overhead, 1.0)
        limits = self._limits if max_tokens is None else np.minimum(self._limits, max_tokens * self.samples)
        tokens_out = np.where(np.isinf(limits), np.nan, limits) * answers
        usd: Floats = (tokens_in * self._most_usd_in + tokens_out * self._usd_out) * PER_MTOK
        return usd

    def latencies_s(
        self, usual_s: Floats, under_way: Callable[[str], int], queue: Callable[[str], QueueState | None]
    ) -> Floats:
        """Return the seconds that a call to each arm is expected to take now, (K,), given those it takes usually."""
        return np.array(
            [
                np.nan if usual != usual else expected_latency_s(arm, usual, under_way(arm.name), queue(arm.name))  # noqa: PLR0124 (NaN)
                for arm, usual in zip(self._arms, usual_s.tolist(), strict=True)
            ]
        )

    def _lines_of(self, script: str) -> _Lines:
        """Return the lines of a script, computed anew for arms of which something else is known."""
        lines = self._lines[script]
        if lines.uses is self._uses:
            return lines
        for k, (arm, use) in enumerate(zip(self._arms, self._uses, strict=True)):
            known = (use.fits.get(""), use.fits.get(script), *(() if use.fits else (use.calls, use.overhead_tokens)))
            if known != lines.known[k]:
                samples = self.samples[k]
                lines.overhead[k], lines.ratio[k] = read_line(arm, use, script)
                overhead, ratio = prompt_line(arm, use, script)
                lines.added[k] = min(overhead / samples, arm.context_window_tokens / 2)
                lines.slope[k] = ratio / samples
                lines.known[k] = known
        lines.uses = self._uses
        lines.each_added, lines.each_slope = lines.added.tolist(), lines.slope.tolist()
        lines.most_added, lines.steepest = max(lines.each_added), max(lines.each_slope)
        return lines


def _dearest_in(arm: Arm) -> float:
    """Return the dollars per million tokens read, cached or not, at most; NaN where a price is not known."""
    return max(_prices(arm)[0], arm.usd_per_mtok_cached_in or 0.0)


def _prices(arm: Arm) -> tuple[float, float]:
    """Return the dollars per million tokens read and written, NaN both where one is not known."""
    if arm.usd_per_mtok_in is None or arm.usd_per_mtok_out is None:
        return np.nan, np.nan
    return arm.usd_per_mtok_in, arm.usd_per_mtok_out
