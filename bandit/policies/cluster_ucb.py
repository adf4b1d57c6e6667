"""A mean per kind of query and arm: the routers that cluster their queries."""

import math
from collections.abc import Sequence

import numpy as np

from highwayman.bandit import snapshot
from highwayman.bandit.draw import greedy_probs
from highwayman.bandit.models.k_means import k_means_centres, nearest
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Context, Floats, RewardChange

_KIND = "cluster"


class ClusterUCB:
    """Chooses the arm whose mean quality on queries like this one could be highest.

    After Gentile, Li & Zappella, "Online Clustering of Bandits", ICML 2014 (arXiv 1401.8257), with clusters of queries
    instead of users: the first `warm_up` changes of reward are kept as they are, their contexts give the centres by
    k-means, and from then on all that counts is sums per cluster and arm. So a round can be changed or taken back
    exactly: its context says which cluster it counts in. A cluster's mean is drawn to the arm's own by `shrinkage`
    observations, and that to `prior_mean` by one; before there are centres it is the arm's own. Routing breaks the
    assumption that kinds of query stay what they were in the beginning: later ones go to the nearest centre.
    """

    def __init__(
        self,
        *,
        d: int,
        fingerprint: str = "",
        alpha: float = 0.3,
        clusters: int = 16,
        warm_up: int = 500,
        shrinkage: float = 20.0,
        prior_mean: float = 0.6,
    ) -> None:
        """Start with nothing known.

        Args:
            d: number of features.
            fingerprint: of the encoder that makes the features.
            alpha: factor on a mean's deviation in units of the noise's, in quality units.
            clusters: of queries, at most.
            warm_up: changes of reward before the centres are found.
            shrinkage: how many observations an arm's overall mean is worth in each cluster.
            prior_mean: expected quality of an arm nothing is known of.
        """
        for name, value in (("clusters", clusters), ("warm_up", warm_up), ("shrinkage", shrinkage)):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a number > 0, got {value!r}")
        if not (math.isfinite(alpha) and alpha >= 0):
            raise ValueError(f"alpha must be a number >= 0, got {alpha!r}")
        self._d, self._fingerprint = d, fingerprint
        self._alpha, self._m, self._warm_up = alpha, int(clusters), int(warm_up)
        self._shrinkage, self._prior_mean = float(shrinkage), float(prior_mean)
        self._rows: dict[str, int] = {}
        self._sums: Floats = np.zeros((0, 1, 2))  # (K, m, 2): sum w, sum w r per cluster
        self._centres: Floats = np.zeros((0, d))  # none yet: everything is one cluster
        self._held: list[tuple[int, Floats, float, float]] = []  # arm's place, context, w, w r

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return 1 for the arm with the largest bound, shape (K,); equal ones share it."""
        chosen: Floats = self.probs_many(context.features[None], arms, penalties[None])[0]
        return chosen

    def probs_many(self, features: Floats, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return what `probs` does for m contexts at once: (m, d) and (m, K) -> (m, K)."""
        means, spreads = self._beliefs(features, arms)
        return greedy_probs(means - penalties + self._alpha * spreads)

    def expected_quality(self, context: Context, arms: Sequence[str]) -> Floats:
        """Return the expected quality of each arm's answer, shape (K,)."""
        means: Floats = self._beliefs(context.features[None], arms)[0][0]
        return means

    def _beliefs(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return means and deviations in units of the noise's, (n, K) each."""
        sums = self._sums[[self._row(arm) for arm in arms]]  # (K, m, 2)
        total = sums.sum(axis=1)
        overall = (total[:, 1] + self._prior_mean) / (total[:, 0] + 1.0)  # (K,)
        if not len(self._centres):
            shape = (len(features), len(arms))
            return np.broadcast_to(overall, shape), np.broadcast_to(1.0 / np.sqrt(total[:, 0] + 1.0), shape)
        cluster_sums = sums[:, self._clusters(features)]  # (K, n, 2)
        weight = cluster_sums[..., 0] + self._shrinkage
        means = (cluster_sums[..., 1] + self._shrinkage * overall[:, None]) / weight
        # What is not known of the arm elsewhere is not known here either.
        elsewhere = np.maximum(total[:, :1] - cluster_sums[..., 0], 0.0)
        known = cluster_sums[..., 0] + np.minimum(elsewhere, self._shrinkage)
        return means.T, (1.0 / np.sqrt(known + 1.0)).T

    def _clusters(self, features: Floats) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        if not len(self._centres):
            return np.zeros(len(features), dtype=np.intp)
        return nearest(features, self._centres)

    def learn(self, changes: Sequence[RewardChange]) -> None:
        """Count changes of reward in their clusters. Raises ValueError for an unknown arm or another length."""
        for change in changes:
            row, x = self._row(change.arm), change.features
            if x.shape != (self._d,):
                raise ValueError(f"features must have shape ({self._d},), got {x.shape}")
            self._sums[row, self._clusters(x[None])[0]] += change.weight, change.weighted
            if not len(self._centres):
                self._held.append((row, x, change.weight, change.weighted))
                if len(self._held) >= self._warm_up:
                    self._find_centres()

    def _find_centres(self) -> None:
        """Find the kinds of query, and count what was held in them."""
        points = np.array([x for _, x, _, _ in self._held])
        self._centres = k_means_centres(points, self._m)
        self._sums = np.zeros((len(self._rows), len(self._centres), 2))
        for (row, *_, weight, weighted), at in zip(self._held, nearest(points, self._centres), strict=True):
            self._sums[row, at] += weight, weighted
        self._held = []

    def add_arm(self, name: str) -> None:
        """Begin a new arm; one already known keeps its statistics."""
        if name not in self._rows:
            self._rows[name] = len(self._rows)
            self._sums = np.concatenate([self._sums, np.zeros((1, *self._sums.shape[1:]))])

    def drop_arm(self, name: str) -> None:
        """Do nothing: an arm that is not eligible is not scored, and its statistics stay."""

    def _row(self, arm: str) -> int:
        try:
            return self._rows[arm]
        except KeyError:
            raise ValueError(f"unknown arm {arm!r}; known are {', '.join(self._rows) or 'none'}") from None

    def state(self) -> bytes:
        """Return everything learned, as a snapshot."""
        header = {"kind": _KIND, "arms": list(self._rows), "d": self._d, "fingerprint": self._fingerprint}
        held = np.array([[row, *x, weight, weighted] for row, x, weight, weighted in self._held])
        arrays = {"sums": self._sums, "centres": self._centres, "held": held.reshape(-1, self._d + 3)}
        return snapshot.pack(header, arrays)

    def restore(self, state: bytes) -> None:
        """Replace everything learned by a snapshot's. Raises SnapshotError and changes nothing if unusable."""
        header, arrays = snapshot.unpack(state)
        own_header = {"kind": _KIND, "d": self._d, "fingerprint": self._fingerprint}
        if {name: header.get(name) for name in own_header} != own_header:
            raise SnapshotError(
                f"snapshot is of {[header.get(name) for name in own_header]}; wanted {list(own_header.values())}"
            )
        arms = [str(name) for name in header.get("arms") or ()]
        shapes = {name: values.shape for name, values in arrays.items()}
        m = max(len(arrays.get("centres", ())), 1)
        if len(set(arms)) != len(arms) or shapes != {
            "sums": (len(arms), m, 2),
            "centres": (len(arrays.get("centres", ())), self._d),
            "held": (len(arrays.get("held", ())), self._d + 3),
        }:
            raise SnapshotError(f"snapshot's arrays have shapes {shapes}, which {len(arms)} arms do not")
        held = [(int(row[0]), row[1:-2].copy(), float(row[-2]), float(row[-1])) for row in arrays["held"]]
        if any(not 0 <= row < len(arms) for row, *_ in held):
            raise SnapshotError("snapshot holds rounds of an arm that it does not have")
        self._rows = {name: row for row, name in enumerate(arms)}
        self._sums, self._centres, self._held = arrays["sums"].copy(), arrays["centres"].copy(), held
