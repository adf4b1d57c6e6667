"""Learning curves: what each policy earns as it learns, and when that has paid for the learning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from highwayman.pages.charts import Axis, Figure, Lines, Series
from highwayman.pages.palette import INK, QUIET
from highwayman.sims.plots.bands import Band, band, framed, series
from highwayman.sims.plots.focus import best_first, focused, foremost
from highwayman.sims.plots.look import Look
from highwayman.sims.sweeps.results import BASELINE, POLICY, Case

_SPAN = 0.1  # of the rounds
_BANDS = 5  # more than so many cover each other
_LABEL_PX = 16


@dataclass(frozen=True, slots=True)
class _Curves:
    """What is drawn: policies' values and regrets, and the baselines' mean values."""

    values: Mapping[str, Band]
    regrets: Mapping[str, Band]
    levels: Mapping[str, float]
    reference: str  # the baseline to beat
    over_time: Band | None  # its value
    best: tuple[str, ...]  # the policies, best first
    span: int  # rounds that a value is the mean of

    @property
    def last(self) -> float:
        """The last round."""
        return max(float(policy_band.rounds[-1]) for policy_band in self.values.values())


def learning(case: Case, look: Look) -> list[Figure]:
    """Return the charts of value and of regret over the rounds, as far as policies have curves of them."""
    curves = _curves(case)
    charts = [_values(case, curves, look)] if curves.values else []
    return [*charts, _regrets(curves, look)] if curves.values and curves.regrets else charts


def _curves(case: Case) -> _Curves:
    span = max(round(_SPAN * max(run.rounds for run in case.runs)), 1)
    policies, reference = case.names(POLICY), case.results.reference
    values = {name: band(case, name, "value", window=span) for name in policies}
    regrets = {name: band(case, name, "regret", cumulative=True) for name in policies}
    means = {name: float(case.values(name).mean()) for name in case.names(BASELINE)}
    return _Curves(
        {name: policy_band for name, policy_band in values.items() if policy_band is not None},
        {name: policy_band for name, policy_band in regrets.items() if policy_band is not None},
        {name: mean for name, mean in means.items() if np.isfinite(mean)},
        reference,
        band(case, reference, "value", window=span),
        best_first(case),
        span,
    )


def _values(case: Case, curves: _Curves, look: Look) -> Figure:
    core = [curves.values[name].mean for name in foremost(curves.best) if name in curves.values]
    if curves.over_time is not None:
        core.append(curves.over_time.mean)
    core.append(np.array([level for name, level in curves.levels.items() if name == curves.reference]))
    ends = {name: float(policy_band.mean[-1]) for name, policy_band in curves.values.items()}
    window = focused(np.concatenate(core).tolist(), [*curves.levels.values(), *ends.values()]).widened()
    window, lines, too_wide = framed(window, _lines(curves, curves.values, look))
    return Figure(
        _chart(_alt(curves), Axis(low=window.low, high=window.high), [*_levels(curves), *lines]),
        title=f"Value per round, mean of the last {curves.span:,}",
        caption=_caption(case, curves) + too_wide + window.left_out({**curves.levels, **ends}, ".3f"),
        legend={curves.reference: INK, **_legend(curves.values, look)},
        dashes={curves.reference: "5,4", **look.dashes},
    )


def _regrets(curves: _Curves, look: Look) -> Figure:
    core = [float(y) for name in foremost(curves.best) if name in curves.regrets for y in curves.regrets[name].mean]
    ends = {name: float(policy_band.mean[-1]) for name, policy_band in curves.regrets.items()}
    window = focused([0.0, *core], ends.values()).widened()
    window, lines, too_wide = framed(window, _lines(curves, curves.regrets, look))
    zero = Series(curves.reference, INK, [0.0, curves.last], [0.0, 0.0], dashed=True)
    told = "; ".join(f"{name} {end:+,.1f}" for name, end in ends.items())
    return Figure(
        _chart(
            f"Regret so far against {curves.reference}, after the last round: {told}.",
            Axis(unit="signed", low=window.low, high=window.high),
            [zero, *lines],
        ),
        title=f"Regret so far against {curves.reference}",
        caption="Below 0, learning has paid for itself." + too_wide + window.left_out(ends, "+,.0f"),
        legend={curves.reference: INK, **_legend(curves.regrets, look)},
        dashes={curves.reference: "5,4", **look.dashes},
    )


def _chart(alt: str, y: Axis, lines: Sequence[Series]) -> Lines:
    last = max(line.x[-1] for line in lines)
    height = max(260, _LABEL_PX * len(lines) + 60)
    return Lines(alt, Axis("round", "count", low=0.0, high=last), y, lines, height=height, named=True)


def _levels(curves: _Curves) -> list[Series]:
    """Return the baselines as level lines, the reference over time if its values are known."""
    lines = []
    for name, level in curves.levels.items():
        is_reference = name == curves.reference
        x, y = [0.0, curves.last], [level, level]
        if is_reference and curves.over_time is not None:
            x, y = curves.over_time.rounds.tolist(), curves.over_time.mean.tolist()
        lines.append(Series(name, INK if is_reference else QUIET, x, y, dashed=True))
    return lines


def _lines(curves: _Curves, bands: Mapping[str, Band], look: Look) -> list[Series]:
    """Return the lines, with intervals where these would not cover each other."""
    return [series(policy_band, name, look, shaded=name in curves.best[:_BANDS]) for name, policy_band in bands.items()]


def _legend(bands: Mapping[str, Band], look: Look) -> dict[str, str]:
    return {name: look.policies[name] for name in bands}


def _alt(curves: _Curves) -> str:
    curve_texts = "; ".join(
        f"{name} from {policy_band.mean[0]:.3f} to {policy_band.mean[-1]:.3f}"
        for name, policy_band in curves.values.items()
    )
    lines = ", ".join(f"{name} {level:.3f}" for name, level in curves.levels.items())
    return f"Learning curves of value per round. {curve_texts}. Baselines: {lines or 'none'}."


def _caption(case: Case, curves: _Curves) -> str:
    seeds = len({run.seed for run in case.runs})
    bands_text = "their 95% intervals" if len(curves.values) <= _BANDS else f"the 95% intervals of the {_BANDS} best"
    lines = (
        f"Lines are means over {seeds} seeds, bands {bands_text}" if seeds > 1 else "One seed ran, which gives no bands"
    )
    over_time = f", but {curves.reference} as it went" if curves.over_time is not None else ""
    return (
        f"{lines}; dashed lines in grey and black are baselines, at their means over all rounds{over_time}. Value is "
        "quality minus penalty."
    )
