"""Draws docs/images/how_it_works.svg: the system, and a request's way through it.

    python -m scripts.draw_how_it_works

Plain SVG, written without a library, so that it comes out the same everywhere. The numbers are those of the lists in
docs/explanation/how_it_works.md. Lengths are in pixels at about the width that GitHub gives a page, from the
upper left corner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

PICTURE: Final = Path(__file__).parents[1] / "docs" / "images" / "how_it_works.svg"
ALT: Final = (
    "A request goes from the client through the router (authenticate and parse, encode, eligible arms, price, decide) "
    "to an arm's vLLM endpoint, and the answer back. Decision, outcome and feedback go on the log. The learner folds "
    "the log and publishes versions, which every router replica picks up. Replay, evaluate and simulate call the same "
    "decision core."
)
WIDTH: Final = 900
HEIGHT: Final = 692
TITLE_PX: Final = 18
TEXT_PX: Final = 16
SMALL_PX: Final = 14
INK: Final = "#1f2933"
QUIET: Final = "#616e7c"
AXIS: Final = "#9aa5b1"
PAPER: Final = "#ffffff"
REQUEST: Final = "#0c71be"
LEARNING: Final = "#0b6e4f"
OFFLINE: Final = "#524d6b"
CORE: Final = "#1b1f7a"
CORE_TINT: Final = "#e9ebfa"
ROW_TINT: Final = "#f1f4f8"
GROUND: Final = "#fafbfc"
_BADGE: Final = 12  # radius
_SANS: Final = "system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif"
_MONO: Final = "ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle by its upper left corner and size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The x of its right side."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y of its lower side."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """The x of its middle."""
        return self.x + self.width / 2

    @property
    def centre(self) -> float:
        """The y of its middle."""
        return self.y + self.height / 2


CLIENT: Final = Box(16, 52, 168, 104)
ROUTER: Final = Box(260, 16, 380, 360)
ARMS: Final = Box(716, 152, 168, 208)
LEARNER: Final = Box(16, 446, 168, 92)
LOG: Final = Box(260, 446, 380, 92)
FEEDBACK: Final = Box(716, 446, 168, 92)
ARCHIVE: Final = Box(260, 588, 160, 88)
SIMS: Final = Box(480, 588, 404, 88)
PAD: Final = 12  # from a box's side to what is written in it
REPLICAS: Final = 10  # how far those behind the router stand out
DECIDE: Final = Box(ROUTER.x + PAD, ROUTER.y + 230, ROUTER.width - 2 * PAD, 114)
CHIPS: Final = (
    Box(DECIDE.x + PAD, DECIDE.y + 64, 66, 32),
    Box(DECIDE.x + 110, DECIDE.y + 64, 112, 32),
    Box(DECIDE.right - PAD - 76, DECIDE.y + 64, 76, 32),
)
LEFT_GAP: Final = (CLIENT.right + ROUTER.x) / 2
RIGHT_GAP: Final = (ROUTER.right + REPLICAS + ARMS.x) / 2
STEPS: Final = (  # of the router before it decides, and the rooms they are in
    ("authenticate, parse", "serving/auth"),
    ("encode", "env/encoder"),
    ("eligible arms", "env/pool"),
    ("price", "env/cost"),
)


def rectangle(box: Box, *, fill: str = PAPER, stroke: str = AXIS, width: float = 1.5, radius: float = 8) -> str:
    """Return a rectangle with round corners."""
    return (
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="{radius:g}" '
        f'fill="{fill}" stroke="{stroke}" stroke-width="{width:g}"/>'
    )


def text(
    at: Point, words: str, *, size: float = TEXT_PX, color: str = INK, bold: bool = False, anchor: str = "start",
    mono: bool = False,
) -> str:  # fmt: skip
    """Return words whose baseline starts (ends, is halved) at a point."""
    weight = ' font-weight="700"' if bold else ""
    family = f' font-family="{_MONO}"' if mono else ""
    return (
        f'<text x="{at[0]:g}" y="{at[1]:g}" font-size="{size:g}" fill="{color}" text-anchor="{anchor}"{weight}{family}>'
        f"{escape(words)}</text>"
    )


def arrow(points: Sequence[Point], color: str) -> str:
    """Return a line through the points with a head at its end."""
    path = " L".join(f"{x:g} {y:g}" for x, y in points)
    return f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="2.25" marker-end="url(#{_head(color)})"/>'


def badge(at: Point, number: int, color: str) -> str:
    """Return a step's number on a disc."""
    disc = f'<circle cx="{at[0]:g}" cy="{at[1]:g}" r="{_BADGE}" fill="{color}" stroke="{PAPER}" stroke-width="2"/>'
    return disc + text((at[0], at[1] + 5), str(number), size=SMALL_PX, color=PAPER, bold=True, anchor="middle")


def panel(box: Box, title: str, room: str, line: str = "") -> str:
    """Return a box with its name, the room where its code lives, and a line that says more."""
    drawn = rectangle(box) + text((box.x + PAD, box.y + 27), title, size=TITLE_PX, bold=True)
    drawn += text((box.x + PAD, box.y + 47), room, size=SMALL_PX, color=QUIET, mono=True)
    return drawn + text((box.x + PAD, box.y + 74), line, size=SMALL_PX) if line else drawn


def titled(box: Box, title: str, note: str, *, mono: bool = True) -> str:
    """Return a box with its name at the left and a note at the right."""
    name = text((box.x + PAD, box.y + 27), title, size=TITLE_PX, bold=True)
    return rectangle(box) + name + remark((box.right - PAD, box.y + 27), note, mono=mono)


def remark(at: Point, note: str, *, mono: bool = True) -> str:
    """Return quiet words that end at a point."""
    return text(at, note, size=SMALL_PX, color=QUIET, anchor="end", mono=mono)


def chip(box: Box, word: str, *, stroke: str) -> str:
    """Return a word in a small box."""
    return rectangle(box, stroke=stroke, width=1.25, radius=6) + text(
        (box.middle, box.centre + 5), word, size=SMALL_PX + 1, anchor="middle"
    )


def _head(color: str) -> str:
    return f"head-{color[1:]}"


def _heads() -> str:
    markers = "".join(
        f'<marker id="{_head(color)}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="10" markerHeight="10" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0.5 L10 5 L0 9.5 Z" fill="{color}"/></marker>'
        for color in (REQUEST, LEARNING, OFFLINE, CORE)
    )
    return f"<defs>{markers}</defs>"


def _client() -> list[str]:
    return [
        panel(CLIENT, "Client", "any OpenAI SDK"),
        text((CLIENT.x + PAD, CLIENT.y + 80), 'model: "auto"', size=SMALL_PX, mono=True),
    ]


def _router() -> list[str]:
    behind = [rectangle(Box(ROUTER.x + off, ROUTER.y + off, ROUTER.width, ROUTER.height)) for off in (REPLICAS, 5)]
    drawn = [*behind, titled(ROUTER, "Router", "any number of replicas", mono=False)]
    for place, (name, room) in enumerate(STEPS):
        row = Box(ROUTER.x + PAD, ROUTER.y + 42 + 46 * place, ROUTER.width - 2 * PAD, 38)
        drawn += [
            rectangle(row, fill=ROW_TINT, stroke="none", radius=6),
            badge((row.x + 22, row.centre), place + 1, REQUEST),
            text((row.x + 44, row.centre + 6), name),
            remark((row.right - PAD, row.centre + 5), room),
        ]
    return drawn


def _decision_core() -> list[str]:
    policy, probabilities, drawn = CHIPS
    return [
        rectangle(DECIDE, fill=CORE_TINT, stroke=CORE),
        badge((DECIDE.x + 22, DECIDE.y + 28), len(STEPS) + 1, REQUEST),
        text((DECIDE.x + 44, DECIDE.y + 34), "decision core", color=CORE, bold=True),
        remark((DECIDE.right - PAD, DECIDE.y + 33), "bandit/decision.py"),
        chip(policy, "policy", stroke=CORE),
        chip(probabilities, "probabilities", stroke=CORE),
        chip(drawn, "draw", stroke=CORE),
        arrow([(policy.right + 3, policy.centre), (probabilities.x - 2, policy.centre)], CORE),
        arrow([(probabilities.right + 3, policy.centre), (drawn.x - 2, policy.centre)], CORE),
    ]


def _arms() -> list[str]:
    drawn = [panel(ARMS, "Arms", "vLLM endpoints")]
    for place, name in enumerate(["llama-8b", "llama-70b", "…"]):
        row = Box(ARMS.x + PAD, ARMS.y + 64 + 46 * place, ARMS.width - 2 * PAD, 38)
        drawn += [
            rectangle(row, fill=ROW_TINT, stroke="none", radius=6),
            text((row.middle, row.centre + 5), name, size=SMALL_PX, anchor="middle", mono=True),
        ]
    return drawn


def _log_and_learning() -> list[str]:
    events = [("decision", 12, 98), ("outcome", 118, 98), ("feedback", 224, 98), ("…", 330, 38)]
    return [
        titled(LOG, "Log", "feedback/log"),
        *(chip(Box(LOG.x + left, LOG.y + 46, width, 32), name, stroke=AXIS) for name, left, width in events),
        panel(LEARNER, "Learner", "feedback/fold", "folds the log"),
        panel(FEEDBACK, "Feedback", "feedback/intake", "thumbs, tools, judge"),
    ]


def _offline() -> list[str]:
    y = SIMS.y + 42
    simulate, core = Box(SIMS.x + 160, y, 78, 32), Box(SIMS.right - PAD - 116, y, 116, 32)
    return [
        panel(ARCHIVE, "Archive", "feedback/archive", "Parquet"),
        titled(SIMS, "Offline", "sims"),
        chip(Box(SIMS.x + PAD, y, 60, 32), "replay", stroke=AXIS),
        chip(Box(SIMS.x + 78, y, 76, 32), "evaluate", stroke=AXIS),
        chip(simulate, "simulate", stroke=AXIS),
        arrow([(simulate.right + 3, simulate.centre), (core.x - 2, core.centre)], CORE),
        rectangle(core, fill=CORE_TINT, stroke=CORE, radius=6),
        text((core.middle, core.y + 21), "decision core", size=SMALL_PX, color=CORE, bold=True, anchor="middle"),
    ]


def _legend() -> list[str]:
    kinds = [("a request", REQUEST), ("what is learned", LEARNING), ("offline", OFFLINE)]
    return [
        f'<circle cx="{LEARNER.x + PAD + 6}" cy="{ARCHIVE.y + 18 + 26 * place}" r="6" fill="{color}"/>'
        + text((LEARNER.x + PAD + 22, ARCHIVE.y + 23 + 26 * place), words, size=SMALL_PX, color=QUIET)
        for place, (words, color) in enumerate(kinds)
    ]


def _request_ways() -> list[str]:
    drawn, under = CHIPS[-1], ROUTER.bottom + REPLICAS
    ask, answer, streamed = CLIENT.y + 30, CLIENT.y + 78, ARMS.y + 54
    decided, ended = LOG.x + 61, LOG.x + 167
    return [
        arrow([(CLIENT.right, ask), (ROUTER.x - 1, ask)], REQUEST),
        arrow([(ROUTER.x, answer), (CLIENT.right + 1, answer)], REQUEST),
        arrow([(drawn.right, drawn.centre), (ARMS.x - 1, drawn.centre)], REQUEST),
        arrow([(ARMS.x, streamed), (ROUTER.right + REPLICAS + 1, streamed)], REQUEST),
        arrow([(decided, under), (decided, LOG.y + 45)], REQUEST),
        arrow([(ended, under), (ended, LOG.y + 45)], REQUEST),
        badge((decided, under + 27), 6, REQUEST),
        *_labelled((LEFT_GAP, answer), 7, "answer"),
        *_labelled((RIGHT_GAP, streamed), 7, "answer"),
        *_labelled((RIGHT_GAP, drawn.centre), 7, "call"),
        badge((ended, under + 27), 8, REQUEST),
    ]


def _labelled(at: Point, number: int, words: str) -> list[str]:
    label = text((at[0], at[1] - 18), words, size=SMALL_PX, color=REQUEST, anchor="middle")
    return [badge(at, number, REQUEST), label]


def _learning_ways() -> list[str]:
    policy = CHIPS[0]
    return [
        arrow([(FEEDBACK.x, LOG.centre), (LOG.right + 1, LOG.centre)], LEARNING),
        arrow([(LOG.x, LOG.centre), (LEARNER.right + 1, LOG.centre)], LEARNING),
        arrow([(LEARNER.middle, LEARNER.y), (LEARNER.middle, policy.centre), (policy.x - 1, policy.centre)], LEARNING),
        badge((RIGHT_GAP, LOG.centre), 9, LEARNING),
        badge((LEFT_GAP, LOG.centre), 10, LEARNING),
        badge((LEARNER.middle, (policy.centre + LEARNER.y) / 2), 11, LEARNING),
        text((LEARNER.middle + 12, policy.centre - 8), "versions", size=SMALL_PX, color=LEARNING),
        text((LEARNER.middle + 12, policy.centre + 20), "to every replica", size=SMALL_PX, color=LEARNING),
    ]


def _offline_ways() -> list[str]:
    return [
        arrow([(ARCHIVE.middle, LOG.bottom), (ARCHIVE.middle, ARCHIVE.y - 1)], OFFLINE),
        arrow([(ARCHIVE.right, ARCHIVE.centre), (SIMS.x - 1, ARCHIVE.centre)], OFFLINE),
        badge(((ARCHIVE.right + SIMS.x) / 2 - 2, ARCHIVE.centre), 12, OFFLINE),
    ]


def draw() -> str:
    """Return the picture as SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="{_SANS}" role="img">',
        f"<title>{escape(ALT)}</title>",
        _heads(),
        rectangle(Box(0.5, 0.5, WIDTH - 1, HEIGHT - 1), fill=GROUND, stroke="#d9dee4", width=1, radius=10),
        *_client(),
        *_router(),
        *_decision_core(),
        *_arms(),
        *_log_and_learning(),
        *_offline(),
        *_legend(),
        *_request_ways(),
        *_learning_ways(),
        *_offline_ways(),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
