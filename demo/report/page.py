"""One self-contained HTML page: verdict, picture, tables, and some answers as they were served."""

import html
from collections.abc import Sequence

from highwayman.demo.report.comparison import Comparison
from highwayman.demo.report.words import Rows, footnote, kinds, strategies, verdict
from highwayman.demo.rounds import Round, RunSettings

_SHOWN = 40  # answers listed
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#1f2933;max-width:64rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem} h2{font-size:1.1rem;margin-top:2rem} svg{width:100%;height:auto}
table{border-collapse:collapse;font-size:.9rem;width:100%} th,td{padding:.3rem .6rem;text-align:right}
th{border-bottom:2px solid #cbd2d9} td{border-bottom:1px solid #e4e7eb;vertical-align:top}
th:first-child,td:first-child,.text th,.text td{text-align:left} .verdict{font-weight:600} .note{color:#616e7c}
"""


def page(rounds: Sequence[Round], settings: RunSettings, found: Comparison, picture: str) -> str:
    """Return the page; `picture` is the SVG, put in as it is, or empty."""
    svg = picture[max(picture.find("<svg"), 0) :]
    last = [_answer_row(one) for one in rounds[-_SHOWN:]]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Highwayman: demonstration, seed {settings.seed}</title><style>{_STYLE}</style></head><body>
<h1>Highwayman: {len(rounds)} prompts, seed {settings.seed}</h1>
<p class="verdict">{html.escape(verdict(found))}</p>
{svg}
<h2>Last third</h2>{_table(*strategies(found))}
<h2>Last third, by kind: share chosen (quality)</h2>{_table(*kinds(found, settings.arms))}
<p class="note">{html.escape(footnote(found))}</p>
<h2>The last {len(last)} answers</h2>
{_table(["round", "kind", "prompt", "arm", "answer", "thumb"], last, css="text")}
</body></html>
"""


def _answer_row(one: Round) -> list[str]:
    thumb = "up" if one.chosen.quality else "down"
    return [str(one.index), one.kind, one.prompt, one.chosen.arm, one.chosen.answer, thumb]


def _table(head: Sequence[str], rows: Rows, css: str = "") -> str:
    first = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    rest = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<table class="{css}"><tr>{first}</tr>{rest}</table>'
