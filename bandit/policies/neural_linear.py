"""Thompson sampling on features that a small network has learned; needs the extra `torch`."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from highwayman.bandit import snapshot
from highwayman.bandit.best_arm import best_arm_probs, best_arm_probs_many
from highwayman.bandit.models.feature_network import FeatureNetwork
from highwayman.bandit.models.replay_buffer import FEATURES, PLACE, WEIGHT, WEIGHTED, BufferUpdate, ReplayBuffer
from highwayman.bandit.regression.arm_statistics import ArmStatistics
from highwayman.bandit.regression.linear_posterior import LinearPosterior
from highwayman.bandit.regression.prior import Prior
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Context, Floats, RewardChange

_KIND = "neural linear"
_EPOCHS = 15
_FIRST = 200  # rounds before the first training


class NeuralLinear:
    """A network finds the features; on top of it each arm has a Bayesian linear regression, as in `LinTS`.

    Riquelme, Tucker & Snoek, "Deep Bayesian Bandits Showdown", ICLR 2018 (arXiv 1802.09127). Whenever feedback has
    grown by `retrain_share`, and at the latest after as many rounds as are held, all but the newest `rounds` rounds are
    forgotten, the network is trained on those, and the regressions are built anew from them. So the regressions know
    the rounds that are held and no others, and any of these can be changed or taken back exactly; a change of one that
    is forgotten is passed over. Routing breaks their assumption that what was seen stays true: what a person takes back
    is gone from the regressions at once, but has shaped the network until its next training.
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
            rounds: that a training leaves; until the next, up to as many again are held.
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
        self._held = ReplayBuffer(d=d)
        self._posterior = self._built((), self._network, self._held)
        self._heard, self._next = 0, _FIRST  # rounds learned, and at which the network is trained next

    def _built(self, arms: Sequence[str], network: FeatureNetwork, held: ReplayBuffer) -> LinearPosterior:
        """Return regressions on the network's features that know the rounds held."""
        posterior = LinearPosterior(d=network.width + 1, prior_precision=self._precision)
        table, sums = held.table(), ArmStatistics(network.width + 1)
        learned = network.features(table[:, FEATURES:])
        for place, arm in enumerate(arms):
            sums.add_arm(arm)
            own_rows = table[:, PLACE] == place
            x, (w, wr, wrr) = learned[own_rows], table[own_rows, WEIGHT:FEATURES].T
            sums.add_evidence(arm, (w * x.T) @ x, wr @ x, np.array([w.sum(), wrr.sum()]))
        posterior.apply_prior(Prior(sums, self._fingerprint))
        return posterior

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return P(arm has the largest quality minus penalty), shape (K,), in the order of `arms`."""
        means, sds = self._posterior.predict(self._network.features(context.features), arms)
        return best_arm_probs(means - penalties, sds * self._exploration)

    def probs_many(self, features: Floats, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return what `probs` does for m contexts at once: (m, d) and (m, K) -> (m, K)."""
        means, spreads = self._posterior.mean_and_std_many(self._network.features(features), arms)
        sds = spreads * (self._exploration * math.sqrt(self._posterior.noise_variance()))
        return best_arm_probs_many(means - penalties, sds)

    def expected_quality(self, context: Context, arms: Sequence[str]) -> Floats:
        """Return the expected quality of each arm's answer, shape (K,)."""
        return self._posterior.mean_and_std(self._network.features(context.features), arms)[0]

    def learn(self, changes: Sequence[RewardChange]) -> None:
        """Fold changes of reward in, in log order. Raises ValueError for an unknown arm or another length."""
        for change in changes:
            self._learn(change)

    def _learn(self, change: RewardChange) -> None:
        if change.arm not in self._posterior.arms:
            raise ValueError(f"unknown arm {change.arm!r}; known are {', '.join(self._posterior.arms) or 'none'}")
        update = self._held.apply(self._posterior.arms.index(change.arm), change)
        if update is BufferUpdate.FORGOTTEN:
            return
        learned = self._network.features(change.features)
        self._posterior.update([RewardChange(change.arm, learned, change.weight, change.weighted, change.squared)])
        if update is BufferUpdate.NEW:
            self._heard += 1
            if self._heard >= self._next:
                self._next = self._heard + min(math.ceil(self._heard * self._share), self._most)
                self._train()

    def _train(self) -> None:
        """Forget the oldest rounds, train the network on the others, and build the regressions anew from them."""
        self._held.pop_oldest(len(self._held) - self._most)
        table = self._held.table()
        if not len(table):
            return
        weights, places = table[:, WEIGHT], table[:, PLACE].astype(np.intp)
        rewards = table[:, WEIGHTED] / weights
        self._network.train(table[:, FEATURES:], places, rewards, weights, epochs=_EPOCHS)
        self._posterior = self._built(self._posterior.arms, self._network, self._held)

    def add_arm(self, name: str) -> None:
        """Put a new arm at the prior; an arm already known keeps what was learned of it."""
        self._posterior.add_arm(name)

    def drop_arm(self, name: str) -> None:
        """Do nothing: an arm that is not eligible is not scored, and its statistics stay."""

    def state(self) -> bytes:
        """Return network and rounds held as a snapshot; the regressions follow from them."""
        header = {**self._about(), "arms": list(self._posterior.arms), "heard": self._heard, "next": self._next}
        network = {f"net {name}": values for name, values in self._network.weights.items()}
        return snapshot.pack(header, {**self._held.arrays(), **network})

    def restore(self, state: bytes) -> None:
        """Replace everything learned by a snapshot's. Raises SnapshotError and changes nothing if unusable."""
        header, arrays = snapshot.unpack(state)
        own_header = self._about()
        if {name: header.get(name) for name in own_header} != own_header:
            raise SnapshotError(
                f"snapshot is of {[header.get(name) for name in own_header]}; wanted {list(own_header.values())}"
            )
        arms = [str(name) for name in header.get("arms") or ()]
        if len(set(arms)) != len(arms):
            raise SnapshotError(f"snapshot names one of its arms twice: {', '.join(arms)}")
        try:
            learned_rounds, next_ = int(header["heard"]), int(header["next"])
            held = ReplayBuffer.from_arrays(arrays, d=self._d, arms=len(arms))
            self._network.restore({name[4:]: values for name, values in arrays.items() if name.startswith("net ")})
        except (KeyError, TypeError, ValueError) as error:
            raise SnapshotError(f"snapshot cannot be used: {error}") from error
        self._held, self._heard, self._next = held, learned_rounds, next_
        self._posterior = self._built(arms, self._network, held)

    def _about(self) -> dict[str, Any]:
        return {"kind": _KIND, "d": self._d, "fingerprint": self._fingerprint}
