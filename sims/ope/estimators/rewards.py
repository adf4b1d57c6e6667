"""What a round earned, as quality, utility or cost, and the log read so: in blocks, rewards in [0, 1]."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import Indices, LogError, LoggedData

RewardKind = Literal["quality", "utility", "cost_usd"]
Chunks = Callable[[], Iterable[LoggedData]]  # may be called several times, and gives the same log every time
Target = Callable[[LoggedData], Floats]  # rounds -> the policy's probabilities (n, K), in the order of the log's arms

_BLOCK = 32_768  # rounds
_TOLERANCE = 1e-6


def rewards_of(log: LoggedData, reward: RewardKind) -> Floats:
    """Return what each round earned, shape (n,); NaN: unknown. Raises ValueError for an unknown kind."""
    if reward == "quality":
        return log.rewards
    if reward == "utility":
        return log.utilities()
    if reward == "cost_usd":
        return log.costs_usd
    raise ValueError(f"reward must be one of {', '.join(get_args(RewardKind))}, got {reward!r}")


def limits_of(chunks: Chunks, reward: RewardKind) -> tuple[float, float]:
    """Return the range of rewards: quality [0, 1], utility [-largest penalty, 1], cost [0, dearest call].

    Reads the log once, but for quality. The range of costs is what was seen, so intervals that need bounds take the
    dearest call on the log for the dearest there is.
    """
    if reward == "quality":
        return 0.0, 1.0
    if reward == "utility":
        return -max((float(log.penalties.max(initial=0.0)) for log in chunks()), default=0.0), 1.0
    dearest = (float(np.nanmax(rewards_of(log, reward), initial=0.0)) for log in chunks())
    return 0.0, max(dearest, default=0.0) or 1.0


def counted(chunks: Chunks) -> Chunks:
    """Return `chunks`, but raising LogError at the end of a reading that gave another number of rounds than the first.

    An iterator that is spent would otherwise look like an empty log.
    """
    first: list[int] = []

    def checked_chunks() -> Iterator[LoggedData]:
        n = 0
        for chunk in chunks():
            n += chunk.n
            yield chunk
        if first and n != first[0]:
            raise LogError(
                f"chunks gave {first[0]} rounds the first time and {n} when it was read again; "
                "it must be a callable that reads the log anew"
            )
        first.append(n)

    return checked_chunks


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Rounds with a reward, rewards scaled to [0, 1], and weights so that the first round of the log counts 1."""

    log: LoggedData
    rows: Indices  # (n,) their numbers on the whole log
    censored: int  # rounds left out among them, for want of feedback

    def probs(self, target: Target) -> Floats:
        """Return the target's probabilities, shape (n, K). Raises ValueError naming the row that is no distribution."""
        probs = target(self.log)
        k = len(self.log.arms)
        if probs.shape != (self.log.n, k):
            raise ValueError(f"target gave shape {probs.shape} for {self.log.n} rounds of {k} arms")
        if not self.log.n:
            return probs
        totals = probs @ np.ones(k)
        if probs.min() >= 0.0 and np.abs(totals - 1.0).max() <= _TOLERANCE:
            return probs
        bad = ~((probs >= 0.0).all(axis=1) & (np.abs(totals - 1.0) <= _TOLERANCE))
        i = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"row {self.rows[i]}: target probabilities must be >= 0 and sum to 1; got {probs[i].tolist()}, "
            f"sum {totals[i].item()!r}"
        )


@dataclass(frozen=True, slots=True)
class RewardReading:
    """A log to be read as one kind of reward with its range."""

    chunks: Chunks
    reward: RewardKind
    low: float
    high: float

    @classmethod
    def of(cls, chunks: Chunks, reward: RewardKind, limits: tuple[float, float] | None) -> Self:
        """Return the reading with `limits`, or those that the log shows. Raises ValueError for an empty range."""
        chunks = counted(chunks)
        low, high = limits_of(chunks, reward) if limits is None else limits
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"limits must be two numbers, the lower one first, got {(low, high)!r}")
        return cls(chunks, reward, low, high)

    @property
    def span(self) -> float:
        """The width of the range."""
        return self.high - self.low

    def blocks(self) -> Iterator[Block]:
        """Yield the log. Raises LogError for a reward outside the range, naming its row."""
        first, unit = 0, None
        for chunk in self.chunks():
            for start in range(0, chunk.n, _BLOCK):
                block = self._block(chunk.take(slice(start, start + _BLOCK)), first + start)
                if block.log.n and unit is None:
                    unit = float(block.log.weights[0])
                if unit not in (None, 1.0):
                    block = replace(block, log=replace(block.log, weights=block.log.weights / unit))
                yield block
            first += chunk.n

    def _block(self, log: LoggedData, first: int) -> Block:
        rewards = rewards_of(log, self.reward)
        known = ~np.isnan(rewards)
        rows = np.arange(first, first + log.n)
        if not known.all():
            log, rows, rewards = log.take(known), rows[known], rewards[known]
        if len(rewards) and not (rewards.min() >= self.low and rewards.max() <= self.high):
            i = int(np.flatnonzero(~((rewards >= self.low) & (rewards <= self.high)))[0])
            raise LogError(
                f"row {rows[i]}: {self.reward} {rewards[i].item()!r} is outside the limits [{self.low}, {self.high}]"
            )
        if rewards is not log.rewards or (self.low, self.high) != (0.0, 1.0):
            log = replace(log, rewards=(rewards - self.low) / self.span)
        # A cost is known whatever was said, so it counts whatever that weighs.
        weights = 1.0 / log.kept if self.reward == "cost_usd" else log.learning_weights()
        log = replace(log, weights=weights, kept=np.ones(log.n))
        return Block(log, rows, len(known) - len(rows))
