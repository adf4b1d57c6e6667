"""What the page draws: reward over time, and which arms were taken."""

from collections.abc import Sequence

from highwayman.demo.play import last_third
from highwayman.demo.report.comparison import Comparison
from highwayman.demo.report.curve import Curve, fixed_curve, learned_curve, random_curve
from highwayman.demo.rounds import Round, RunSettings
from highwayman.pages.charts import Axis, Figure, Lines, Marker, Series, Shares
from highwayman.pages.palette import INK, QUIET, arm_colors

_WINDOW = 40
_RIVALS_WINDOW = 125  # rivals do not learn, and before the last third only every fifth round shows what they would do
_BLOCK = 20  # rounds whose choices are counted together


def reward_figure(rounds: Sequence[Round], settings: RunSettings, comparison: Comparison) -> Figure:
    """Return what the router earned over time, beside the best fixed arm and random."""
    best = comparison.best_fixed.name.removeprefix("always ")
    penalty = comparison.penalty
    color = arm_colors(settings.arms)[best]
    series = [
        _series("learned", INK, learned_curve(rounds, penalty, window=_WINDOW)),
        _series(comparison.best_fixed.name, color, fixed_curve(rounds, best, penalty, window=_RIVALS_WINDOW)),
        _series("random", QUIET, random_curve(rounds, penalty, window=_RIVALS_WINDOW), dashed=True),
    ]
    chart = Lines(
        f"Reward over {len(rounds)} prompts: learned, {comparison.best_fixed.name}, and an arm drawn evenly.",
        Axis("prompts", low=0.0, high=float(settings.rounds)),
        Axis("reward"),
        series,
        markers=[Marker(last_third(settings.rounds), "from here on every arm answers, too")],
        height=300,
    )
    caption = (
        f"Reward is quality minus cost. Each line is the mean of the last {_WINDOW} prompts (rivals: of those among "
        f"the last {_RIVALS_WINDOW} that every arm answered), within its 95% band."
    )
    legend = {line.name: line.color for line in series}
    return Figure(chart, caption, "Reward over time", legend)


def choice_figure(rounds: Sequence[Round], settings: RunSettings) -> Figure:
    """Return which arms were taken over time."""
    blocks = [[played.chosen.arm for played in block] for block in _blocks(rounds)]
    blocks.append(blocks[-1])  # each is drawn up to the next one
    at = [float(min(place * _BLOCK, len(rounds))) for place in range(len(blocks))]
    parts = {arm: [float(block.count(arm)) for block in blocks] for arm in settings.arms}
    colors = arm_colors(settings.arms)
    chart = Shares("Share of the prompts that each arm was given, over time.", Axis("prompts"), at, parts, colors)
    return Figure(chart, f"Of {_BLOCK} prompts each.", "Arms over time", colors)


def _blocks(rounds: Sequence[Round]) -> list[Sequence[Round]]:
    return [rounds[start : start + _BLOCK] for start in range(0, len(rounds), _BLOCK)]


def _series(name: str, color: str, curve: Curve, *, dashed: bool = False) -> Series:
    points = (values.tolist() for values in (curve.x, curve.y, curve.low, curve.high))
    x, y, low, high = points
    return Series(name, color, x, y, low, high, dashed=dashed)
