"""Thompson sampling on features that a small network has learned; needs the extra `torch`."""

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from highwayman.bandit import snapshot
from highwayman.bandit.best_arm import best_arm_probs, best_arm_probs_many
from highwayman.bandit.feature_network import FeatureNetwork
from highwayman.bandit.posterior import LinearPosterior
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Context, Floats, RewardChange

_KIND = "neural linear"
_EPOCHS = 15


class NeuralLinear:
    """A network finds the features; on top of it each arm has a Bayesian linear regression, as in `LinTS`.

    Riquelme, Tucker & Snoek, "Deep Bayesian Bandits Showdown", ICLR 2018 (arXiv 1802.09127). The newest `rounds` rounds
    are held; whenever feedback has grown by `retrain_share` the network is trained on them, and the regressions are
    built anew from them: what is older is forgotten then. A change of reward finds its round by context and arm, and
    changes the regressions exactly; the network itself follows at the next training. Routing breaks their assumption
    that everything seen may be kept: what a person takes back is in the network until then.
    """

    def __init__(
        self,
        *,
        d: int,
        fingerprint: str = "",
        exploration: float = 0.75,
        width: int = 16,
        rounds: int = 4000,
        retrain_share: float = 0.25,
        seed: int = 0,
        prior_precision: float = 2.0,
    ) -> None:
        """Start at a random network and the prior.

        Args:
            d: number of features.
            fingerprint: of the encoder that makes the features.
            exploration: factor on the posterior's standard deviations.
            width: features that the network learns.
            rounds: that are held for training.
            retrain_share: growth of feedback after which it is trained again, from the 200th round on.
            seed: of the network's first weights and of the order of training.
            prior_precision: of the regressions' weights, in units of the noise.
        """
        for name, value in (("exploration", exploration), ("width", width), ("rounds", rounds),
                            ("retrain_share", retrain_share)):  # fmt: skip
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a number > 0, got {value!r}")
        self._d, self._fingerprint = d, fingerprint
        self._exploration, self._share, self._most = exploration, retrain_share, int(rounds)
        self._network = FeatureNetwork(d=d, hidden=4 * int(width), width=int(width), seed=seed)
        self._precision = prior_precision
        self._posterior = self._fresh()
        self._held: deque[Floats] = deque(maxlen=self._most)  # (d + 4,): context, arm's place, w, w r, w r^2
        self._heard, self._next = 0, 200  # rounds learned, and at which the network is trained next

    def _fresh(self, arms: Sequence[str] = ()) -> LinearPosterior:
        made = LinearPosterior(d=self._network.width + 1, prior_precision=self._precision)
        for arm in arms:
            made.add_arm(arm)
        return made

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return P(arm has the largest quality minus penalty), shape (K,), in the order of `arms`."""
        means, sds = self._posterior.predict(self._network.features(context.features), arms)
        return best_arm_probs(means - penalties, sds * self._exploration)

    def probs_many(self, features: Floats, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return what `probs` does for m contexts at once: (m, d) and (m, K) -> (m, K)."""
        means, spreads = self._posterior.spread_many(self._network.features(features), arms)
        sds = spreads * (self._exploration * math.sqrt(self._posterior.noise_variance()))
        return best_arm_probs_many(means - penalties, sds)

    def expected(self, context: Context, arms: Sequence[str]) -> Floats:
        """Return the expected quality of each arm's answer, shape (K,)."""
        return self._posterior.spread(self._network.features(context.features), arms)[0]

    def learn(self, changes: Sequence[RewardChange]) -> None:
        """Fold changes of reward in, in log order. Raises ValueError for an unknown arm or another length."""
        for change in changes:
            if change.features.shape != (self._d,):
                raise ValueError(f"features must have shape ({self._d},), got {change.features.shape}")
            learned = self._network.features(change.features)
            self._posterior.update([RewardChange(change.arm, learned, change.weight, change.weighted, change.squared)])
            self._hold(change)

    def _hold(self, change: RewardChange) -> None:
        """Hold a new round or change one that is held, and train the network if it is time."""
        place = self._posterior.arms.index(change.arm)
        moments = (change.weight, change.weighted, change.squared)
        if change.weight <= 0:
            for row in reversed(self._held):
                if row[self._d] == place and np.array_equal(row[: self._d], change.features):
                    row[self._d + 1 :] += moments
                    return
            return
        self._held.append(np.array([*change.features, place, *moments]))
        self._heard += 1
        if self._heard >= self._next:
            self._next = math.ceil(self._heard * (1 + self._share))
            self._train()

    def _train(self) -> None:
        """Train the network on the rounds held, and build the regressions anew from them."""
        d, arms = self._d, self._posterior.arms
        rows = np.array([row for row in self._held if row[d + 1] > 0])
        if not len(rows):
            return
        weights = rows[:, d + 1]
        self._network.train(rows[:, :d], rows[:, d].astype(np.intp), rows[:, d + 2] / weights, weights, epochs=_EPOCHS)
        self._posterior = self._fresh(arms)
        learned = self._network.features(rows[:, :d])
        self._posterior.update(
            RewardChange(arms[int(row[d])], x, *map(float, row[d + 1 :])) for row, x in zip(rows, learned, strict=True)
        )

    def add_arm(self, name: str) -> None:
        """Put a new arm at the prior."""
        self._posterior.add_arm(name)

    def drop_arm(self, name: str) -> None:
        """Do nothing: an arm that is not eligible is not asked about, and its statistics stay."""

    def state(self) -> bytes:
        """Return network, regressions and the rounds held, as a snapshot."""
        header, arrays = snapshot.unpack(self._posterior.state())
        about: dict[str, Any] = {"kind": _KIND, "d": self._d, "fingerprint": self._fingerprint, "posterior": header,
                                 "heard": self._heard, "next": self._next}  # fmt: skip
        held = np.array(self._held).reshape(-1, self._d + 4)
        network = {f"net {name}": values for name, values in self._network.weights.items()}
        return snapshot.pack(about, {**arrays, **network, "held": held})

    def restore(self, state: bytes) -> None:
        """Replace everything learned by a snapshot's. Raises SnapshotError and changes nothing if unusable."""
        header, arrays = snapshot.unpack(state)
        wanted = {"kind": _KIND, "d": self._d, "fingerprint": self._fingerprint}
        if {name: header.get(name) for name in wanted} != wanted:
            raise SnapshotError(
                f"snapshot is of {[header.get(name) for name in wanted]}; wanted {list(wanted.values())}"
            )
        posterior, held = self._fresh(), arrays.get("held", np.empty(0))
        posterior.restore(
            snapshot.pack(header.get("posterior") or {}, {n: arrays[n] for n in ("a", "b", "sums") if n in arrays})
        )
        if held.ndim != 2 or held.shape[1] != self._d + 4 or (held[:, self._d] >= len(posterior.arms)).any():
            raise SnapshotError(f"snapshot holds rounds of shape {held.shape}, which are not of its arms and features")
        try:
            heard, next_ = int(header["heard"]), int(header["next"])
            self._network.restore({name[4:]: values for name, values in arrays.items() if name.startswith("net ")})
        except (KeyError, TypeError, ValueError) as error:
            raise SnapshotError(f"snapshot cannot be used: {error}") from error
        self._posterior, self._held = posterior, deque((row.copy() for row in held), maxlen=self._most)
        self._heard, self._next = heard, next_
