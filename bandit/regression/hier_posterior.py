"""Bayesian linear regressions, one per arm, drawn together by what the arms have in common."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from highwayman.bandit.drift.forgetting import Forgetting
from highwayman.bandit.regression.arm_posterior import ArmPosterior
from highwayman.bandit.regression.arm_statistics import ArmStatistics
from highwayman.bandit.regression.marginal_likelihood import TAG_GRID, empirical_bayes_precision
from highwayman.env.encoder.features.tags import tag_width
from highwayman.env.types import Floats, RewardChange

_STEP = math.log(1.1)  # the prior is drawn anew whenever the weight of feedback has grown by a tenth
_MOST_WAITING = 4000  # rounds that wait for somebody to ask: a few megabytes
_NOISE_WEIGHT = 20.0  # observations that the prior's noise is worth


@dataclass(frozen=True, slots=True)
class HierPrior:
    """What is believed before any feedback. Precisions are in units of the noise: so many observations.

    Attributes:
        early_precision: of an arm's own features, after one round of feedback per arm.
        final_precision: what that falls to.
        rare_tag_precision: of an arm's effects at the levels of tags, where no evidence speaks for them.
        caution: times the precision that the evidence speaks for is enough, however early.
        shared_precision: of the shared features.
        intercept_precision: of the shared intercept, and of each arm's own.
        prior_mean: expected quality of an arm nothing is known of.
        noise_variance: of rewards around their mean, worth 20 observations; learned from there.
    """

    early_precision: float = 3000.0
    final_precision: float = 2.0
    rare_tag_precision: float = 60.0
    caution: float = 10.0
    shared_precision: float = 30.0
    intercept_precision: float = 1.0
    prior_mean: float = 0.6
    noise_variance: float = 0.15

    def __post_init__(self) -> None:
        """Raise ValueError for a number that cannot be."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "prior_mean":
                if not math.isfinite(value):
                    raise ValueError(f"prior_mean must be a finite number, got {value!r}")
            elif not (math.isfinite(value) and value > 0):
                raise ValueError(f"{field.name} must be > 0, got {value!r}")


class HierPosterior(ArmPosterior):
    """Regressions theta_k ~ N(beta, sigma^2 L(n)^-1) around a beta that all arms share and that is learned from all.

    Hong, Kveton, Katariya, Zaheer & Ghavamzadeh, "Hierarchical Bayesian Bandits", AISTATS 2022 (arXiv 2111.06929), with
    beta at its posterior mean. A hard query is hard for every arm: what they have in common is learned from
    all feedback, and an arm's own part only has to say where it differs. A new arm starts at beta.

    The precision of an arm's own features falls with the weight n of all feedback on K arms as `early_precision` K / n,
    and to `caution` times what the evidence speaks for if that is less, but never below `final_precision`: while little
    is known, arms differ by their intercepts alone, as in a sampler without contexts, and what a query says of an arm
    has to be earned. Routing breaks the Gaussian noise: thumbs are 0 or 1.

    The columns of tags (`env/encoder/features/tags.py`) have a precision of their own, that which the evidence speaks
    for; as long as it speaks for none, they are shut out as all others are at first.

    The prior is drawn anew whenever n has grown by a tenth, sums are changed at once, or a snapshot is taken or
    restored; in between, what follows from the sums is kept up with the prior as it was. Deviations are those of an
    arm's own part.

    All that is only done when somebody asks: until then the sums stand as they were when it was due, and the rounds
    since then wait. So who learns and is not asked takes sums; and however many arms come, it is done once.
    """

    _KIND = "hierarchical"

    def __init__(
        self,
        *,
        d: int,
        fingerprint: str = "",
        prior: HierPrior | None = None,
        forgetting: Forgetting | None = None,
    ) -> None:
        """Start every arm at the prior.

        Args:
            d: number of features, the last of them the constant 1.
            fingerprint: of the encoder that makes the features.
            prior: what is believed at first.
            forgetting: the half-life of feedback; None: it counts for ever.
        """
        self._prior = prior or HierPrior()
        noise = (float(self._prior.noise_variance), _NOISE_WEIGHT)
        super().__init__(d=d, fingerprint=fingerprint, noise=noise, forgetting=forgetting, fades=False)
        self._hyperprior_precision = np.full(d, self._prior.shared_precision)
        self._hyperprior_precision[-1] = self._prior.intercept_precision
        self._hyperprior_mean = np.zeros(d)
        self._hyperprior_mean[-1] = self._prior.prior_mean
        self.tags = tag_width(fingerprint)  # columns that are levels of tags, before all others
        self.revision = 0  # another one whenever anything that is known may have changed
        self._is_drawn = False  # whether the prior is, as it was due last
        self._due_sums: ArmStatistics | None = None  # from which it is due; None: those that stand
        self._waiting: list[tuple[int, Floats, float, float]] = []  # rounds since: as `_on_round` takes them
        self.recompute()

    @property
    def shared(self) -> Floats:
        """What the arms have in common, beta (d,), as of the last time the prior was drawn."""
        self._catch_up()
        return self._shared.copy()

    def _means_and_squares(self, features: Floats, rows: slice | list[int]) -> tuple[Floats, Floats]:
        """Return the mean of each arm in `rows` and the square of its deviation, (K,) each, at x (d,).

        Of a tag's columns at most one is not 0, so they cost next to nothing, however many there are.
        """
        tags = self.tags
        if not tags:
            return super()._means_and_squares(features, rows)
        inverse, theta, own = self._inverse[rows], self._theta[rows], features[tags:]
        means = theta[:, tags:].dot(own)
        squares = (inverse[:, tags:, tags:] @ own).dot(own)
        held = np.flatnonzero(features[:tags])
        if held.size:
            levels = features[held]
            means += theta[:, held].dot(levels)
            squares += (inverse[:, held, tags:] @ own).dot(2.0 * levels)
            squares += (inverse[:, held][:, :, held] @ levels).dot(levels)
        return means, squares

    def update(self, changes: Iterable[RewardChange]) -> None:
        """Fold changes into the statistics. Raises ValueError for an unknown arm or features of another length."""
        self.revision += 1
        self._keep_due_sums()
        super().update(changes)

    def restore(self, state: bytes) -> None:
        """Replace the sums by a snapshot's. Raises SnapshotError and changes nothing if they cannot be used.

        What follows from them is computed at once: whoever restores is in no hurry, and whoever asks next is.
        """
        super().restore(state)
        self._catch_up()

    def means(self, features: Floats, arms: Sequence[str]) -> Floats:
        """Return each arm's mean alone, (K,), at x (d,), to 1e-12: deviations take most of the time."""
        self._catch_up()
        means: Floats = self._theta[self._statistics.select(arms)].dot(features)
        return means

    def weights_at_levels(self, features: Floats, arms: Sequence[str]) -> Floats | None:
        """Return the weight of each arm's feedback at the rarest level of tags that x (..., d) has, (..., K).

        Infinite where x has no level; None where there are no tags.
        """
        tags = self.tags
        if not tags:
            return None
        rows, a = self._statistics.select(arms), self._statistics.a
        if features.ndim == 1:
            held = np.flatnonzero(features[:tags])
            weights: Floats = np.minimum.reduce(a[:, held, held][rows], axis=1, initial=np.inf)
        else:
            of_columns = np.diagonal(a, axis1=1, axis2=2)[rows, :tags]  # (K, t)
            weights = np.where(features[:, None, :tags] > 0, of_columns, np.inf).min(axis=2)
        return weights

    def state(self) -> bytes:
        """Return the sums as a snapshot, and settle, so that whoever restores it goes on as this one does."""
        self.recompute()
        return super().state()

    def _on_round(self, row: int, x: Floats, weight: float, weighted: float) -> None:
        if self._must_recompute():
            self.recompute()
            self._keep_due_sums()
            return
        self._waiting.append((row, x, weight, weighted))
        self._is_behind = True
        if len(self._waiting) >= _MOST_WAITING:
            self._catch_up()

    def _solve(self) -> None:
        """Note that the prior is to be drawn, and all else to be computed, from the sums as they stand."""
        self.revision += 1
        self._is_drawn, self._is_behind, self._due_sums, self._settled_at = False, True, None, self._stage()
        self._waiting.clear()

    def _keep_due_sums(self) -> None:
        """Keep the sums from which the prior is due, before others come to them."""
        if not self._is_drawn and self._due_sums is None:
            self._due_sums = self._statistics.copy()

    def _catch_up(self) -> None:
        """Draw the prior if it is due, and follow the rounds since then."""
        if not self._is_drawn:
            standing = self._statistics
            self._statistics, self._due_sums = self._due_sums or standing, None
            try:
                super()._solve()
            finally:
                self._statistics = standing
            self._is_drawn = True
        waiting, self._waiting = self._waiting, []
        for arm_round in waiting:
            self._follow(*arm_round)
            if not self._is_drawn:  # that lost too many digits: the sums that stand have the rounds left, too
                self._catch_up()
                return
        self._is_behind = False

    def _must_recompute(self) -> bool:
        return self._stage() != self._settled_at or super()._must_recompute()

    def _stage(self) -> int:
        """Return how often the weight of feedback has grown by a tenth."""
        return int(math.log(max(self.total_weight(), 1.0)) / _STEP)

    def _draw_prior(self, precision: Floats) -> Floats:
        means = self._prior_means(precision)  # (K, d)
        off = self._shared - self._hyperprior_mean
        self._squares_drawn = float((precision * means**2).sum() + (self._hyperprior_precision * off**2).sum())
        return precision * means

    def _prior_squares(self) -> float:
        """Return what the prior, as it was drawn last, adds to the sum of squared rewards, that of beta included."""
        return self._squares_drawn

    def _prior_means(self, own: Floats) -> Floats:
        """Draw beta from all feedback, and return the arms' prior means (K, d): beta for each.

        The arms' own parts integrated out leave for beta the precision L_0 + sum_k (L - L P_k L) and the evidence
        L_0 m_0 + sum_k L P_k b_k.
        """
        lent = own * np.einsum("kij,kj->ki", self._inverse, self._statistics.b)  # (K, d)
        root = np.diag(self._hyperprior_precision + len(lent) * own) - own[:, None] * self._inverse.sum(axis=0) * own
        self._shared = np.linalg.solve(root, self._hyperprior_precision * self._hyperprior_mean + lent.sum(axis=0))
        return np.broadcast_to(self._shared, lent.shape)

    def _prior_precision(self) -> Floats:
        """Return the precision of an arm's own part, the diagonal of L(n), (d,)."""
        prior, arms, rounds = self._prior, max(len(self._statistics), 1), max(self.total_weight(), 1.0)
        precision = prior.early_precision * min(arms / rounds, 1.0)
        root, noise = (self._hyperprior_precision, self._hyperprior_mean), (prior.noise_variance, _NOISE_WEIGHT)
        tags = max(prior.rare_tag_precision, precision)
        if self.tags:
            places = [*range(self.tags), self.d - 1]  # no other feature tells: it takes a fraction of the time
            likeliest = empirical_bayes_precision(
                self._statistics.of_features(places),
                prior.intercept_precision,
                (root[0][places], root[1][places]),
                noise,
                grid=TAG_GRID,
            )
            tags = tags if likeliest is None else min(tags, likeliest)
        if precision > prior.final_precision:
            likeliest = empirical_bayes_precision(
                self._statistics, prior.intercept_precision, root, noise, own=lambda tried: self._own(tried, tags)
            )
            precision = precision if likeliest is None else min(precision, prior.caution * likeliest)
        return self._own(max(prior.final_precision, precision), tags)

    def _own(self, features: float, tags: float) -> Floats:
        """Return the precision of an arm's own part, (d,), given those of its features and of its tags' levels."""
        own = np.full(self.d, features)
        own[: self.tags] = tags
        own[-1] = self._prior.intercept_precision
        return own
