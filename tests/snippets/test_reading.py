"""How pages are read: what a command is, and what an output may be."""

from pathlib import Path

import pytest

from tests.snippets.snippets import Command, commands, prints, snippets


def test_a_command_goes_on_after_a_backslash_and_within_quotes() -> None:
    console = '$ curl host \\\n    -d \'{"a":\n "b"}\'\n{"ok"}\n$ echo don\\\'t\ndon\'t\n'
    assert list(commands(console)) == [
        Command('curl host \\\n    -d \'{"a":\n "b"}\'', '{"ok"}'),
        Command("echo don\\'t", "don't"),
    ]


def test_dots_stand_for_any_lines_and_nothing_else_does() -> None:
    assert prints("a\nb \nc\n", "a\n...\nc")
    assert prints("a\nc\n", "a\n...\nc")
    assert not prints("a\nb\n", "a")
    assert not prints("a\nb\nd\n", "a\n...\nc")


def test_only_marked_blocks_are_run(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ rm -r /\n```\n\n<!-- run: exact -->\n```console\n$ echo a\na\n```\n")
    assert [(found.line, found.kind, found.exact) for found in snippets(page)] == [(7, "console", True)]
    page.write_text("<!-- run -->\n```yaml\na: b\n```\n")
    with pytest.raises(ValueError, match="only console and python are run, not yaml"):
        list(snippets(page))
