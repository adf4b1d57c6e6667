"""Markdown as the pages of the reference have it."""

import re
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[2] / "docs" / "reference"
NOTE = "<!-- Written by `make reference`; change what it is written from. -->"


def page(title: str, intro: str, parts: Iterable[str]) -> str:
    """Return a page."""
    return "\n\n".join([f"# {title}", NOTE, intro, *map(_linked, parts)]) + "\n"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table; cells may hold `|`."""
    heads = [*heads]
    return "\n".join([_row(heads), _row("---" for _ in heads), *map(_row, rows)])


def sentence(text: str) -> str:
    """Return a description with a capital and a full stop."""
    text = " ".join(text.split())
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}" if text else ""


def slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    kept = (letter for letter in heading.lower() if letter.isalnum() or letter in " -_")
    return "".join(kept).replace(" ", "-")


def _linked(text: str) -> str:
    """Return a text with a link, by its title, to each page that it names as a path, as the code does."""
    return re.sub(r"(?<![\w/`])docs/([a-z-]+)/([a-z_]+)\.md", lambda match: _link(match[1], match[2]), text)


def _link(part: str, name: str) -> str:
    title = (FOLDER.parent / part / f"{name}.md").read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    return f"[{title}](../{part}/{name}.md)"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """Return a cell's text; a `|` in code is an entity, as a backslash there is shown by some and not by others."""
    html = re.sub(r"`([^`]*\|[^`]*)`", lambda match: f"<code>{escape(match[1]).replace('|', '&#124;')}</code>", text)
    return html.replace("|", "\\|")
