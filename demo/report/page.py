"""One self-contained HTML page: verdict, figures, tables, and some answers as they were served."""

from collections.abc import Sequence

from highwayman.demo.report.comparison import Comparison
from highwayman.demo.report.figures import choice_figure, reward_figure
from highwayman.demo.report.words import footnote, strategies, verdict
from highwayman.demo.rounds import Round, RunSettings
from highwayman.pages.assets import Assets
from highwayman.pages.document import environment, render
from highwayman.pages.palette import arm_colors

_SHOWN = 40  # answers listed


def page(rounds: Sequence[Round], settings: RunSettings, comparison: Comparison) -> str:
    """Return the page."""
    return render(
        environment(Assets(), __package__),
        "demo.html.j2",
        title=f"Highwayman: {len(rounds)} prompts, seed {settings.seed}",
        verdict=verdict(comparison),
        footnote=footnote(comparison),
        reward=reward_figure(rounds, settings, comparison),
        choices=choice_figure(rounds, settings),
        strategies=strategies(comparison),
        comparison=comparison,
        colors=arm_colors(settings.arms),
        answers=rounds[-_SHOWN:],
    )
