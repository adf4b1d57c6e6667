"""What is known of arms before their first answer: evidence from elsewhere, worth a stated number of answers."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

import numpy as np

from highwayman.bandit import snapshot
from highwayman.bandit.regression.arm_statistics import ArmStatistics
from highwayman.env.encoder.features.tags import base_fingerprint, tag_width
from highwayman.env.types import Floats

_KIND = "prior"


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """Sums over rounds seen elsewhere, for each arm, scaled to a weight."""

    sums: ArmStatistics
    fingerprint: str  # of the encoder that made the features

    @classmethod
    def fit(
        cls,
        features: Floats,
        rewards: Floats,
        *,
        arms: Sequence[str],
        weight: float,
        fingerprint: str,
        counts: Floats | None = None,
    ) -> Self:
        """Return the evidence of n contexts on K arms, each worth `weight` answers, or as many as there are if fewer.

        Args:
            features: (n, d).
            rewards: (n, K) in [0, 1]; NaN: nobody knows.
            arms: names, (K,).
            weight: effective sample size of each arm.
            fingerprint: of the encoder that made the features.
            counts: what each context counts, (n,) > 0; left out: every one counts 1.

        Raises:
            ValueError: `weight` is not > 0.
        """
        if not (np.isfinite(weight) and weight > 0):
            raise ValueError(f"weight must be > 0, got {weight!r}")
        counts = np.ones(len(features)) if counts is None else counts
        sums = ArmStatistics(features.shape[1])
        for arm, column in zip(arms, rewards.T, strict=True):
            known = ~np.isnan(column)
            x, r, w = features[known], column[known], counts[known]
            sums.add_arm(arm)
            if len(r):
                w = w * (min(weight, w.sum(), len(r)) / w.sum())  # one that stands for many is no more than an answer
                sums.add_evidence(arm, (w * x.T) @ x, w * r @ x, np.array([w.sum(), w * r @ r]))
        return cls(sums, fingerprint)

    def to_bytes(self) -> bytes:
        """Return the prior as a snapshot."""
        header = {"kind": _KIND, "arms": list(self.sums.arms), "d": self.sums.d, "fingerprint": self.fingerprint}
        return snapshot.pack(header, self.sums.arrays())

    @classmethod
    def from_bytes(cls, data: bytes, *, d: int, fingerprint: str) -> Self:
        """Return the prior that `to_bytes` wrote. Raises SnapshotError: it is damaged, or of another encoder.

        One that was fitted without any tags says nothing of the columns of those declared since.
        """
        header, arrays = snapshot.unpack(data)
        base = base_fingerprint(fingerprint)
        if header.get("fingerprint") != base or base == fingerprint:
            sums = ArmStatistics.from_snapshot(header, arrays, kind=_KIND, d=d, fingerprint=fingerprint)
            return cls(sums, fingerprint)
        tags = tag_width(fingerprint)
        sums = ArmStatistics.from_snapshot(header, arrays, kind=_KIND, d=d - tags, fingerprint=base)
        return cls(sums.widened(tags), fingerprint)

    @property
    def digest(self) -> str:
        """A short hash of its content."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:12]


@runtime_checkable
class AcceptsPrior(Protocol):
    """A policy that can begin with a prior."""

    def apply_prior(self, prior: Prior) -> None:
        """Count a prior's evidence on its arms as if it were feedback; before anything is learned."""
