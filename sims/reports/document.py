"""Reports from templates: files that hold all they need."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup, escape

from highwayman.env.atomic_write import write_atomically
from highwayman.pages.assets import Assets
from highwayman.pages.document import environment, render
from highwayman.sims.sweeps.results import ResultsError

_ENDS = re.compile(r"(?<=\w)([,+:/.])(?=[A-Za-z])")


def document(template: str, **context: Any) -> str:
    """Return a page of this room's templates; the same for the same context."""
    return render(_pages(), template, **context)


@cache
def _pages() -> Environment:
    pages = environment(Assets(), "highwayman.sims.reports")
    pages.filters["breakable"] = breakable
    return pages


def breakable(name: str) -> Markup:
    """Return the name as HTML that may be broken where its parts end."""
    return Markup(_ENDS.sub(r"\1<wbr>", str(escape(name))))  # noqa: S704  (escaped)


def write_document(page: str, path: Path) -> None:
    """Write the page to `path`, whole or not at all. Raises ResultsError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, page.encode())
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror or error}") from error
