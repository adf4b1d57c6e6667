"""What arms did on the queries most like this one."""

import math
from collections.abc import Sequence

import numpy as np

from highwayman.bandit import snapshot
from highwayman.bandit.draw import greedy_probs
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Context, Floats, RewardChange

_KIND = "k nearest"
_NOTHING = 1e-9  # weight that rounding leaves of a round that is taken back


class KNearest:
    """Chooses the arm whose mean quality on the nearest rounds of its own could be highest.

    Reeve, Mellor & Brown, "The K-Nearest Neighbour UCB Algorithm for Multi-Armed Bandits with Covariates", ALT 2018
    (arXiv 1803.00316), with a fixed k, and a bound of alpha over the root of what the neighbours weigh. Of each arm the
    newest `rounds` rounds are held, and nothing else: what is older is forgotten. A change of reward finds the round it
    belongs to by its context; one that is no longer held changes nothing. Routing breaks their assumption that near
    queries have like answers: nearness is that of an embedding.
    """

    def __init__(
        self,
        *,
        d: int,
        fingerprint: str = "",
        k: int = 30,
        rounds: int = 2000,
        alpha: float = 0.3,
        prior_mean: float = 0.6,
        prior_weight: float = 2.0,
    ) -> None:
        """Start with nothing known.

        Args:
            d: number of features.
            fingerprint: of the encoder that makes the features.
            k: rounds of an arm that are averaged.
            rounds: of each arm that are held.
            alpha: factor on 1 / sqrt(weight), in quality units.
            prior_mean: expected quality where nothing is near.
            prior_weight: how many rounds that is worth.
        """
        for name, value in (("k", k), ("rounds", rounds), ("prior_weight", prior_weight)):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a number > 0, got {value!r}")
        if not (math.isfinite(alpha) and alpha >= 0):
            raise ValueError(f"alpha must be a number >= 0, got {alpha!r}")
        self._d, self._fingerprint = d, fingerprint
        self._k, self._most, self._alpha = int(k), int(rounds), float(alpha)
        self._prior = float(prior_mean), float(prior_weight)
        self._rows: dict[str, int] = {}
        self._held: list[Floats] = []  # of each arm (rounds, d + 2): features, w, w r; a ring
        self._next: list[int] = []  # where each arm's next round goes, counted from the beginning

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return 1 for the arm with the largest bound, shape (K,); equal ones share it."""
        means, weights = self._beliefs(context.features, arms)
        return greedy_probs(means - penalties + self._alpha / np.sqrt(weights))

    def expected_quality(self, context: Context, arms: Sequence[str]) -> Floats:
        """Return the expected quality of each arm's answer, shape (K,)."""
        return self._beliefs(context.features, arms)[0]

    def _beliefs(self, x: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return each arm's mean over its nearest rounds and what they weigh, the prior's share included, (K,) each."""
        mean, weight = self._prior
        means, weights = np.full(len(arms), mean), np.full(len(arms), weight)
        for place, arm in enumerate(arms):
            row = self._row(arm)
            held = self._held[row][: min(self._next[row], self._most)]
            held = held[held[:, self._d] > _NOTHING]  # what is taken back is no neighbour
            if not len(held):
                continue
            squares = ((held[:, : self._d] - x) ** 2).sum(axis=1)
            sums = held[np.argsort(squares, kind="stable")[: self._k], self._d :].sum(axis=0)
            weights[place] += sums[0]
            means[place] = (mean * weight + sums[1]) / weights[place]
        return means, weights

    def learn(self, changes: Sequence[RewardChange]) -> None:
        """Hold new rounds and change old ones. Raises ValueError for an unknown arm or features of another length."""
        for change in changes:
            row, x = self._row(change.arm), change.features
            if x.shape != (self._d,):
                raise ValueError(f"features must have shape ({self._d},), got {x.shape}")
            if change.weight > 0:
                self._held[row][self._next[row] % self._most] = [*x, change.weight, change.weighted]
                self._next[row] += 1
            else:
                self._change(self._held[row], x, change)

    def _change(self, held: Floats, x: Floats, change: RewardChange) -> None:
        """Change the round held of this context that the change fits best; several together if none has the weight.

        What was said of a round one after the other is held as rounds of one context, and may be taken back at once.
        """
        same = np.flatnonzero((held[:, : self._d] == x).all(axis=1) & (held[:, self._d] > _NOTHING))
        if not len(same):
            return
        if held[same, self._d].max() < -change.weight - _NOTHING:
            held[same[-1], self._d :] = held[same, self._d :].sum(axis=0)
            held[same[:-1], self._d :] = 0.0
            same = same[-1:]
        same = same[held[same, self._d] >= -change.weight - _NOTHING]
        if not len(same):  # the rest of what is taken back is no longer held
            held[(held[:, : self._d] == x).all(axis=1), self._d :] = 0.0
            return
        fits = held[same, self._d + 1] + change.weighted
        best = same[np.abs(fits - np.clip(fits, 0.0, held[same, self._d] + change.weight)).argmin()]
        held[best, self._d :] += change.weight, change.weighted

    def add_arm(self, name: str) -> None:
        """Begin a new arm; one already known keeps its rounds."""
        if name not in self._rows:
            self._rows[name] = len(self._rows)
            self._held.append(np.zeros((self._most, self._d + 2)))
            self._next.append(0)

    def drop_arm(self, name: str) -> None:
        """Do nothing: an arm that is not eligible is not scored, and its rounds stay."""

    def _row(self, arm: str) -> int:
        try:
            return self._rows[arm]
        except KeyError:
            raise ValueError(f"unknown arm {arm!r}; known are {', '.join(self._rows) or 'none'}") from None

    def state(self) -> bytes:
        """Return the rounds held, as a snapshot."""
        header = {"kind": _KIND, "arms": list(self._rows), "d": self._d, "fingerprint": self._fingerprint,
                  "next": self._next, "rounds": self._most}  # fmt: skip
        held = [rounds[: min(next_, self._most)] for rounds, next_ in zip(self._held, self._next, strict=True)]
        return snapshot.pack(header, {"held": np.concatenate([np.zeros((0, self._d + 2)), *held])})

    def restore(self, state: bytes) -> None:
        """Replace the rounds held by a snapshot's. Raises SnapshotError and changes nothing if unusable."""
        header, arrays = snapshot.unpack(state)
        own_header = {"kind": _KIND, "d": self._d, "fingerprint": self._fingerprint}
        if {name: header.get(name) for name in own_header} != own_header:
            raise SnapshotError(
                f"snapshot is of {[header.get(name) for name in own_header]}; wanted {list(own_header.values())}"
            )
        arms, nexts = [str(name) for name in header.get("arms") or ()], header.get("next")
        if not (isinstance(nexts, list) and len(nexts) == len(set(arms)) == len(arms)):
            raise SnapshotError("snapshot does not say how many rounds of each arm it holds")
        nexts, held = [int(count) for count in nexts], arrays.get("held", np.empty(0))
        most = int(header.get("rounds", self._most))  # what one of before could hold is not on it
        counts = [min(count, most) for count in nexts]
        if held.shape != (sum(counts), self._d + 2):
            raise SnapshotError(f"snapshot does not hold the {sum(counts)} rounds of {self._d} features that it says")
        self._rows = {name: row for row, name in enumerate(arms)}
        self._next, self._held = [], []
        for next_, rounds in zip(nexts, np.split(held, np.cumsum(counts)[:-1]), strict=True):
            self._hold(next_, rounds)

    def _hold(self, next_: int, rounds: Floats) -> None:
        """Hold the next arm's rounds, a ring of another length perhaps, so many of which have come in all."""
        ring, count = np.zeros((self._most, self._d + 2)), len(rounds)
        if count == min(next_, self._most):
            ring[:count] = rounds
        else:  # `rounds` was another number then: in their order, the newest of them begin the ring anew
            newest = (
                np.roll(rounds, -(next_ % count), axis=0)[-self._most :] if next_ > count else rounds[-self._most :]
            )
            next_ = len(newest)
            ring[:next_] = newest
        self._held.append(ring)
        self._next.append(next_)
