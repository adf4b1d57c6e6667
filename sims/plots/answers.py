"""What policies would have earned on a log: values with intervals, a chart each for quality, cost and utility."""

import math
from collections.abc import Mapping, Sequence

from highwayman.pages.charts import Axis, Figure, IntervalRow, Intervals
from highwayman.pages.formats import Unit
from highwayman.pages.palette import INK
from highwayman.sims.ope.estimators.rewards import RewardKind
from highwayman.sims.plots.focus import Window
from highwayman.sims.replay.comparison import KINDS, LoggedPolicyValue, PolicyEstimate, PolicyVerdict

AS_IT_RAN = "as it ran"
CAPTION = (
    "Dots are estimates, lines their intervals; the dashed line is what ran. A hollow dot: the log cannot tell, or the "
    "interval of the difference to what ran includes 0. An arrow points to what lies off the chart."
)
_AXES: Mapping[RewardKind, tuple[str, Unit, float]] = {
    "quality": ("quality per answer", "number", 1.0),
    "cost_usd": ("cost of 1,000 requests", "usd", 1000.0),
    "utility": ("utility: quality minus penalty", "number", 1.0),
}
_WIDEST = 3.0  # intervals this many times as wide as the values are apart are cut, so that something can be seen
_Colors = Mapping[str, str]


def answers(logged: LoggedPolicyValue, estimates: Sequence[PolicyEstimate], colors: _Colors) -> list[Figure]:
    """Return a chart for each kind of reward that is known; a row for what ran and for each policy, in their order.

    What stands before it, the best fixed arm, stays first: hollow where the log cannot tell.
    """
    return [_figure(kind, logged, estimates, colors) for kind in KINDS if logged.means[kind].n]


def _figure(
    kind: RewardKind, logged: LoggedPolicyValue, estimates: Sequence[PolicyEstimate], colors: _Colors
) -> Figure:
    label, unit, per = _AXES[kind]
    ran = logged.means[kind]
    rows = [IntervalRow(AS_IT_RAN, per * ran.value, per * ran.low, per * ran.high)]
    for estimate in estimates:
        value = estimate.values[kind]
        row = IntervalRow(
            estimate.policy,
            per * value.value,
            per * value.low,
            per * value.high,
            colors.get(estimate.policy, INK),
            hollow=estimate.verdict not in (PolicyVerdict.MORE, PolicyVerdict.LESS),
            note=str(estimate.verdict),
        )
        rows.insert(len(rows) if estimate.policy in colors else 0, row)
    window = _window(rows)
    told = "; ".join(f"{row.name} {row.value:.4g}{', ' if row.note else ''}{row.note}" for row in rows)
    axis = Axis(label, unit, low=window.low, high=window.high)
    chart = Intervals(f"{label[0].upper()}{label[1:]}: {told}.", axis, rows, per * ran.value, AS_IT_RAN)
    return Figure(chart)


def _window(rows: Sequence[IntervalRow]) -> Window:
    values = [row.value for row in rows if math.isfinite(row.value)]
    apart = max(values) - min(values) or 0.02 * abs(values[0]) or 0.02
    lows = [max(row.low, min(values) - _WIDEST * apart) for row in rows if math.isfinite(row.low)]
    highs = [min(row.high, max(values) + _WIDEST * apart) for row in rows if math.isfinite(row.high)]
    return Window(min([*values, *lows]), max([*values, *highs])).widened(0.05)
