"""What is asked of a tenant's newest decisions, as arrays: n decisions, A arms of which any is known."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from highwayman.bandit.policy import Policy, QuantifiesQuality
from highwayman.env.data_class import ENCODER_MASKED
from highwayman.env.encoder.encoder import FAILURE, TIMEOUT
from highwayman.env.encoder.features.tags import translated
from highwayman.env.reward import RewardSpec
from highwayman.env.types import Decision, Floats
from highwayman.feedback.fold.join import attribute_reward
from highwayman.feedback.log.record import Record

_UNREAD: Final = frozenset({TIMEOUT, FAILURE, ENCODER_MASKED})
_LATEST: Final = 50  # decisions by which an arm's penalty of now is known


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Decisions in order of time, whose text was read by the encoder in use."""

    decisions: Sequence[Decision]
    arms: tuple[str, ...]  # (A,)
    features: Floats  # (n, d)
    at: Floats  # (n,) seconds since the epoch
    drawn: npt.NDArray[np.intp]  # (n,) which of the arms
    probs: Floats  # (n, A), 0 of an arm that was no candidate
    penalties: Floats  # (n, A), NaN of an arm that was no candidate
    rated: npt.NDArray[np.intp]  # (n,) which of the arms a rating is credited to, -1: there is none
    quality: Floats  # (n,) of the rating, NaN without
    weight: Floats  # (n,) of the rating, 0 without

    @property
    def n(self) -> int:
        """How many decisions there are."""
        return len(self.decisions)

    def halfway(self) -> float:
        """Return the moment before which half of the decisions lie."""
        return float(np.median(self.at)) if self.n else 0.0

    def time_bins(self, count: int) -> tuple[Floats, npt.NDArray[np.intp]]:
        """Return the edges of equal stretches of the time, (count + 1,), and in which each decision lies, (n,)."""
        edges = np.linspace(self.at[0], self.at[-1], count + 1) if self.n else np.zeros(count + 1)
        bins = np.searchsorted(edges, self.at, side="right") - 1
        return edges, np.clip(bins, 0, count - 1).astype(np.intp)

    def latest_penalties(self) -> Floats:
        """Return the mean penalty of each arm over the last decisions that it was a candidate of, (A,); 0: of none."""
        means = np.zeros(len(self.arms))
        for place in range(len(self.arms)):
            known = self.penalties[:, place][~np.isnan(self.penalties[:, place])][-_LATEST:]
            means[place] = known.mean() if len(known) else 0.0
        return means

    def beliefs(self, policy: Policy, pool: Iterable[str], *, start: int, end: int) -> tuple[Floats, Floats]:
        """Return the quality that a policy expects of each arm of the pool now, and its deviation.

        Of the decisions from `start` to `end`: (m, A) each; NaN of arms that have left the pool, and where the policy
        says nothing.
        """
        features, known = self.features[start:end], frozenset(pool)
        quality, deviations = np.full((2, len(features), len(self.arms)), np.nan)
        places = [place for place, name in enumerate(self.arms) if name in known]
        if len(features) and places and isinstance(policy, QuantifiesQuality):
            named = tuple(self.arms[place] for place in places)
            quality[:, places], deviations[:, places] = policy.quality_and_deviation(features, named)
        return quality, deviations


def make_sample(records: Iterable[Record], spec: RewardSpec, *, pool: Sequence[str], fingerprint: str) -> Sample:
    """Return what records of decisions come to; those whose text the encoder of `fingerprint` has not read are not in.

    The pool's arms stand first, in its order.
    """
    kept: list[tuple[Record, Decision, Floats]] = []
    for record in records:
        decision = record.decision
        context = None if decision is None else translated(decision.context, fingerprint)
        if decision is not None and context is not None and not _UNREAD & context.flags:
            kept.append((record, decision, context.features))
    kept.sort(key=lambda each: each[1].at)
    n, arms = len(kept), dict.fromkeys(pool)
    rewards = [attribute_reward(record, spec) if record.feedback else None for record, _, _ in kept]
    for (_, decision, _), reward in zip(kept, rewards, strict=True):
        arms.update(dict.fromkeys(decision.arms))
        if reward is not None:
            arms[reward.arm] = None
    places = {name: place for place, name in enumerate(arms)}
    probs, penalties = np.zeros((n, len(places))), np.full((n, len(places)), np.nan)
    rated, quality, weight = np.full(n, -1, dtype=np.intp), np.full(n, np.nan), np.zeros(n)
    for row, (_, decision, _) in enumerate(kept):
        own = [places[name] for name in decision.arms]
        probs[row, own], penalties[row, own] = decision.probs, decision.penalties
        credit = rewards[row]
        if credit is not None and credit.reward.weight > 0:
            rated[row], quality[row], weight[row] = places[credit.arm], credit.reward.quality, credit.reward.weight
    return Sample(
        [decision for _, decision, _ in kept],
        tuple(places),
        np.stack([features for _, _, features in kept]) if kept else np.zeros((0, 0)),
        np.array([decision.at for _, decision, _ in kept]),
        np.array([places[decision.arm] for _, decision, _ in kept], dtype=np.intp),
        probs,
        penalties,
        rated,
        quality,
        weight,
    )
