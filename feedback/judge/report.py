"""What a judge has come to: agreement with people, bias by arm and by place, coverage and cost."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pydantic_core

from highwayman.env.types import Decision, Feedback, Mode, Outcome
from highwayman.feedback.calibration.counts import CountTable
from highwayman.feedback.calibration.ppi import QualityEstimates, pooled_quality, ppi_estimates
from highwayman.feedback.calibration.response_rates import ResponseRates, estimate_response_rates
from highwayman.feedback.log.events import BadEvent, decode

MORE_FLIPS = 0.05  # of thumbs, for which a report says how far its means would move


@dataclass(slots=True)
class JudgeCalls:
    """What the log says of the judge's own calls, and of the comparisons it made."""

    calls: int = 0
    failed: int = 0
    cost_usd: float = 0.0
    shadow_calls: int = 0
    shadow_usd: float = 0.0
    decisions: int = 0  # answers that were given, judged or not
    comparisons: int = 0
    biases: list[float] = field(default_factory=list)
    read: dict[str, int] = field(default_factory=dict)  # scores by how they were read
    _asked: dict[str, str] = field(default_factory=dict)

    def add_page(self, page: Iterable[bytes]) -> None:
        """Count some events, in log order."""
        for data in page:
            try:
                event = decode(data)
            except BadEvent:
                continue
            if isinstance(event, Decision):
                self._on_decision(event)
            elif isinstance(event, Outcome):
                self._on_outcome(event)
            elif isinstance(event, Feedback) and event.source == "judge" and event.value is not None:
                self._on_feedback(event)

    def _on_decision(self, event: Decision) -> None:
        purpose = event.objective if event.objective in ("judge", "shadow") else ""
        if purpose:
            self._asked[event.id] = purpose
        elif event.mode is not Mode.SHADOW:
            self.decisions += 1

    def _on_outcome(self, event: Outcome) -> None:
        purpose = self._asked.pop(event.decision_id, "")
        if purpose == "judge":
            self.calls += 1
            self.failed += event.status != "ok"
            self.cost_usd += event.cost_usd or 0.0
        elif purpose == "shadow":
            self.shadow_calls += 1
            self.shadow_usd += event.cost_usd or 0.0

    def _on_feedback(self, event: Feedback) -> None:
        try:
            words = pydantic_core.from_json(event.text or "{}")
        except ValueError:
            return
        if isinstance(words, dict) and isinstance(words.get("position_bias"), int | float):
            self.comparisons += 1
            self.biases.append(float(words["position_bias"]))
        elif isinstance(words, dict) and isinstance(words.get("how"), str):
            self.read[words["how"]] = self.read.get(words["how"], 0) + 1


@dataclass(frozen=True, slots=True)
class ArmReport:
    """One arm's scores beside what thumbs make of them."""

    arm: str
    scored: int
    thumbs: int
    score: float  # the mean, as the judge gave it
    quality: float | None  # calibrated; None: too few thumbs
    low: float | None
    high: float | None
    bias: float | None  # of the score, against the calibrated quality


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """Everything."""

    scored: int
    thumbs: int
    coverage: float | None  # share of the answers that were scored
    agreement: float | None  # share of thumbs on scored answers that lie on the score's side of what scores mean
    rates_known: bool
    good_given: float | None  # share of good answers that get a thumb
    bad_given: float | None
    flip_rate: float
    flip_sensitivity: float | None  # how far a calibrated mean moves if thumbs are flipped `MORE_FLIPS` more
    arms: Sequence[ArmReport]
    calls: int
    failed_calls: int
    cost_usd: float
    shadow_calls: int
    shadow_usd: float
    comparisons: int
    position_bias: float | None  # to the first place, in [-1, 1], mean of all comparisons
    read: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def judge_report(cells: CountTable, calls: JudgeCalls, *, flip: float) -> JudgeReport:
    """Return the report on a source's scores and a judge's calls."""
    rates = estimate_response_rates(cells, flip=flip)
    has_thumbs = cells.thumbs > 0
    estimates = ppi_estimates(cells, rates) if has_thumbs else None
    scored = int(cells.scored.sum())
    return JudgeReport(
        scored=scored,
        thumbs=int(cells.thumbs),
        coverage=scored / calls.decisions if calls.decisions else None,
        agreement=_agreement(cells, rates) if has_thumbs else None,
        rates_known=rates.identified,
        good_given=rates.good if rates.identified else None,
        bad_given=rates.bad if rates.identified else None,
        flip_rate=flip,
        flip_sensitivity=_flip_sensitivity(cells, estimates, flip) if estimates is not None else None,
        arms=[_arm(cells, estimates, k) for k in range(len(cells.arms))],
        calls=calls.calls,
        failed_calls=calls.failed,
        cost_usd=calls.cost_usd,
        shadow_calls=calls.shadow_calls,
        shadow_usd=calls.shadow_usd,
        comparisons=calls.comparisons,
        position_bias=float(np.mean(calls.biases)) if calls.biases else None,
        read=dict(calls.read),
    )


def _flip_sensitivity(cells: CountTable, estimates: QualityEstimates, flip: float) -> float:
    """Return by how much the calibrated mean of an arm with thumbs moves at most if thumbs are flipped more often."""
    more = ppi_estimates(cells, estimate_response_rates(cells, flip=min(flip + MORE_FLIPS, 0.49)))
    has_thumbs = (cells.ups + cells.downs).sum(axis=1) > 0
    ends = (np.clip(values.value[has_thumbs], 0.0, 1.0) for values in (estimates, more))
    return float(np.abs(next(ends) - next(ends)).max())


def _agreement(cells: CountTable, rates: ResponseRates) -> float:
    """Return the share of thumbs on the side of 1/2 on which answers with such a score lie, by all thumbs."""
    good = pooled_quality(cells, rates) >= 0.5
    return float((cells.ups.sum(axis=0) * good + cells.downs.sum(axis=0) * ~good).sum() / cells.thumbs)


def _arm(cells: CountTable, estimates: QualityEstimates | None, k: int) -> ArmReport:
    scored, thumbs = float(cells.scored[k].sum()), float(cells.ups[k].sum() + cells.downs[k].sum())
    mean = float(cells.score[k].sum() / scored) if scored else 0.0
    if estimates is None or not thumbs:
        return ArmReport(cells.arms[k], int(scored), int(thumbs), mean, None, None, None, None)
    value, low, high = (float(np.clip(values[k], 0, 1)) for values in (estimates.value, estimates.low, estimates.high))
    return ArmReport(cells.arms[k], int(scored), int(thumbs), mean, value, low, high, mean - value)
