"""The blocks of a page that are run: marked by a comment before the fence, which no reader sees.

`<!-- run -->`: the commands behind `$ `, or the Python, must end well. `<!-- run: exact -->`: a command prints what
stands below it, where a line `...` stands for any lines. `<!-- file: NAME -->`: a file for the page's commands.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_MARKED = re.compile(r"^<!-- (run(?:: exact)?|file: (\S+)) -->\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Snippet:
    """A block: what is to be done with it, and its text."""

    line: int  # of its first line, from 1
    kind: Literal["console", "python", "file"]
    text: str
    name: str = ""  # of a file
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A command, and what stands below it."""

    shell: str
    printed: str


def snippets(page: Path) -> Iterator[Snippet]:
    """Yield the marked blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for match in _MARKED.finditer(text):
        mark, name, language, body = match.groups()
        if not name and language not in ("console", "python"):
            raise ValueError(f"{page}: only console and python are run, not {language}")
        line = text.count("\n", 0, match.start(4)) + 1
        yield Snippet(line, "file" if name else language, body, name or "", exact=mark.endswith("exact"))


def commands(console: str) -> Iterator[Command]:
    """Yield the commands of a console block: each from its `$ ` to where the shell has all of it."""
    for part in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        end = next(at for at in range(1, len(lines) + 1) if _whole("\n".join(lines[:at])))
        yield Command("\n".join(lines[:end]), "\n".join(lines[end:]))


def prints(output: str, wanted: str) -> bool:
    """Return whether an output is what a page says, where a line `...` stands for any lines; spaces at ends aside."""
    lines = [line.rstrip() for line in wanted.strip("\n").splitlines()]
    pattern = "".join(r"(?:.*\n)*?" if line.strip() == "..." else re.escape(line) + r"\n" for line in lines)
    printed = "".join(f"{line.rstrip()}\n" for line in output.strip("\n").splitlines())
    return re.fullmatch(pattern, printed) is not None


def _whole(shell: str) -> bool:
    """Return whether a command ends here: no backslash, and no quote left open."""
    quotes = re.sub(r"\\.", "", re.sub(r"'[^']*'|\"(?:\\.|[^\"\\])*\"", "", shell))
    return not shell.endswith("\\") and "'" not in quotes and '"' not in quotes
