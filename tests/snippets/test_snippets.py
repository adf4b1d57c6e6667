"""What the pages say to run, runs: `make test-docs`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.snippets.conftest import ROOT, Shell
from tests.snippets.snippets import Snippet, commands, prints, snippets

PAGES = [page for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if any(snippets(page))]
_ADDRESS = re.compile(r"(?:127\.0\.0\.1|localhost):8790")
_DECISION = re.compile(r"\bhw-(?:\.\.\.|[\w-]{20,})")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_says_to_run_runs(page: Path, shell: Shell, tmp_path: Path) -> None:
    about = shell.decision  # what commands that name a decision are about: the newest that the page has printed
    for snippet in snippets(page):
        if snippet.kind == "file":
            (tmp_path / snippet.name).write_text(snippet.text, encoding="utf-8")
            continue
        for words, wanted in tasks(snippet):
            local = [_DECISION.sub(about, _ADDRESS.sub(shell.address, word)) for word in words]
            done = subprocess.run(
                local, check=False, cwd=tmp_path, env=shell.environment, capture_output=True, text=True, timeout=180
            )
            place = f"{page.name}, line {snippet.line}: {local[-1]}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            assert done.returncode == 0, place
            assert wanted is None or prints(done.stdout + done.stderr, wanted), place
            about = next(reversed(re.findall(r"\bhw-[\w-]{20,}", done.stdout)), about)


def tasks(snippet: Snippet) -> list[tuple[list[str], str | None]]:
    """Return what of a block has to be run, each with what it must print, if that is said to be exact."""
    if snippet.kind == "python":
        return [([sys.executable, "-c", snippet.text], None)]
    return [
        (["bash", "-euo", "pipefail", "-c", at_the_router(each.shell)], each.printed if snippet.exact else None)
        for each in commands(snippet.text)
    ]


def at_the_router(command: str) -> str:
    """Return a command with the address that it would take by itself."""
    return re.sub(r"\bhighwayman top\b", "highwayman top --url http://127.0.0.1:8790", command)
