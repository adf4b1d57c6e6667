"""What README and docs/ name is there: files, links, modules, imports; and the picture is what its source draws."""

import ast
import importlib
import importlib.util
import itertools
import re
import shlex
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from highwayman.serving.cli.main import main
from scripts.draw_how_it_works import ALT, HEIGHT, PICTURE, WIDTH, draw
from tests.dejavu import width

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
HOW_IT_WORKS = ROOT / "docs" / "explanation" / "how_it_works.md"
CODE = ROOT / "docs" / "explanation" / "code.md"

_FOLDERS = "bandit|benchmarks|client|demo|deploy|docs|env|feedback|requirements|scripts|serving|sims|tests"
_PATH = re.compile(rf"(?<![\w./:{{}}-])(?:{_FOLDERS})/[\w./-]*")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_MODULE = re.compile(r"python3? -m ((?:benchmarks|demo|highwayman|scripts)[\w.]*)")
_PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_SHELL = ("console", "sh")  # languages of blocks in which commands stand
_PARSED = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_CLASS = re.compile(r"`([A-Z][a-zA-Z]*[a-z][a-zA-Z]*)[`(:.]")
_CLASS_OF_OTHERS = {"InverseProbabilityWeighting"}  # obp's
_WRITTEN_BY_A_RUN = ("highwayman-demo/",)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def paths_named(text: str) -> set[str]:
    paths = {path.rstrip("./") for path in _PATH.findall(text)}
    return {path for path in paths if not path.startswith(_WRITTEN_BY_A_RUN)}


@every_page
def test_every_path_named_in_the_docs_exists(page: Path) -> None:
    assert [path for path in sorted(paths_named(page.read_text())) if not (ROOT / path).exists()] == []


def test_a_path_that_is_not_there_would_be_noticed() -> None:
    text = "See `bandit/no_such.py`, docs/no_page.md. Not a path: /v1/feedback/x, https://host/docs/a, `{docs/a}`."
    assert paths_named(text) == {"bandit/no_such.py", "docs/no_page.md"}


@every_page
def test_every_relative_link_in_the_docs_leads_somewhere(page: Path) -> None:
    links = [link for link in _LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link.partition("#")[0]).exists()] == []


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: page.name)
def test_a_page_names_another_by_a_link(page: Path) -> None:
    prose = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.DOTALL)
    assert re.findall(r"(?<![\w./])docs/[\w/-]+\.md", prose) == []


@every_page
def test_every_module_that_the_docs_run_exists(page: Path) -> None:
    modules = {name.rstrip(".") for name in _MODULE.findall(page.read_text())}
    assert [name for name in sorted(modules) if importlib.util.find_spec(name) is None] == []


@every_page
def test_what_the_copy_button_takes_of_a_block_is_whole_commands(page: Path) -> None:
    """It takes lines that begin with `$ `, and those after a backslash: a quote may not be open at their end."""
    blocks = [block for language, block in _BLOCK.findall(page.read_text()) if language == "console"]
    lines = [line for block in blocks for line in re.findall(r"^ *\$ (.*)$", block.replace("\\\n", " "), re.MULTILINE)]
    assert [line for line in lines if not _is_whole(line)] == []


def _is_whole(command: str) -> bool:
    try:
        shlex.split(command, comments=True)
    except ValueError:  # no closing quotation
        return False
    return True


def commands_in(page: Path) -> Iterator[list[str]]:
    """Yield the words behind `highwayman` of every command in a block, as the shell parts them."""
    blocks = [block for language, block in _BLOCK.findall(page.read_text()) if language in _SHELL]
    for block in blocks:
        for line in re.findall(
            r"^(?:[$#] )?((?:[A-Z_]+=\S+ )*(?:highwayman|uvx|nohup) .*)$", block.replace("\\\n", " "), re.MULTILINE
        ):
            lexer = shlex.shlex(line.replace("URL...", "http://url"), posix=True, punctuation_chars="|&;<>")
            lexer.whitespace_split = True
            for pipes, words in itertools.groupby(lexer, key=lambda word: set(word) <= set("|&;")):
                named = [*words]
                if not pipes and "highwayman" in named:
                    yield list(
                        itertools.takewhile(lambda word: word not in "<>", named[named.index("highwayman") + 1 :])
                    )


@every_page
def test_every_command_in_the_docs_is_one_that_the_program_takes(page: Path) -> None:
    assert [fault for words in commands_in(page) if (fault := fault_of(words))] == []


def fault_of(words: list[str]) -> str:
    """Return what the program's own parser says against a command; empty: nothing."""
    command: click.Command = main
    context, rest = click.Context(main), [*words]
    while isinstance(command, click.Group):
        chosen = command.get_command(context, rest[0]) if rest else None
        if chosen is None:
            return f"no command {' '.join(words)}"
        command, rest, context = chosen, rest[1:], click.Context(chosen, parent=context)
    try:
        command.make_parser(context).parse_args(rest)
    except click.UsageError as error:
        return f"{' '.join(words)}: {error.message}"
    return ""


def test_a_command_that_there_is_not_would_be_noticed() -> None:
    assert fault_of(["pool", "chek", "pool.yaml"]) == "no command pool chek pool.yaml"
    assert "--polices" in fault_of(["replay", "--from", "archive/", "--polices", "LinTS"])
    assert fault_of(["replay", "--from", "archive/", "--policy", "LinTS"]) == ""


def imports_in(page: Path) -> Iterator[tuple[str, str]]:
    for block in _PYTHON.findall(page.read_text()):
        for node in ast.walk(compile(block, page.name, "exec", flags=_PARSED)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("highwayman"):
                yield from ((str(node.module), alias.name) for alias in node.names)


@every_page
def test_what_the_examples_import_is_there(page: Path) -> None:
    missing = [each for each in imports_in(page) if not hasattr(importlib.import_module(each[0]), each[1])]
    assert missing == []


@pytest.fixture(scope="module")
def classes() -> set[str]:
    sources = [file for folder in _FOLDERS.split("|") for file in (ROOT / folder).rglob("*.py")]
    return {name for file in sources for name in re.findall(r"^\s*class (\w+)", file.read_text(), re.MULTILINE)}


@every_page
def test_every_class_named_in_the_docs_exists(page: Path, classes: set[str]) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    assert set(_CLASS.findall(prose)) - classes - _CLASS_OF_OTHERS == set()


def test_the_files_beside_a_file_named_on_the_pages_of_the_code_exist() -> None:
    bare = set(re.findall(r"`([a-z_]+\.py)`", HOW_IT_WORKS.read_text() + CODE.read_text()))
    assert [name for name in sorted(bare) if not any(ROOT.glob(f"[bdefs]*/**/{name}"))] == []


def test_every_room_has_its_line_on_the_page_of_the_code() -> None:
    rows = "\n".join(line for line in CODE.read_text().splitlines() if line.startswith("|"))
    rooms = [
        folder.name
        for package in ("bandit", "env", "feedback", "serving", "sims", "demo")
        for folder in sorted((ROOT / package).iterdir())
        if (folder / "__init__.py").exists()
    ]
    assert [room for room in rooms if f"{room}/`" not in rows] == []


def test_the_picture_is_what_its_source_draws() -> None:
    assert PICTURE.read_text(encoding="utf-8") == draw(), "make picture"
    assert f"![{ALT}](../images/{PICTURE.name})" in HOW_IT_WORKS.read_text()


def test_the_steps_of_the_picture_are_those_of_the_page() -> None:
    listed = [int(number) for number in re.findall(r"^(\d+)\. ", HOW_IT_WORKS.read_text(), re.MULTILINE)]
    drawn = {int(number) for number in re.findall(r">(\d+)</text>", draw())}
    assert listed == list(range(1, len(listed) + 1))
    assert sorted(drawn) == listed


Extent = tuple[str, float, float, float, float]  # what, left, top, right, bottom


def words_drawn() -> list[Extent]:
    """Return where each text stands in the widest font that browsers are likely to take, DejaVu."""
    extents = []
    for text in ET.fromstring(draw()).iter("{http://www.w3.org/2000/svg}text"):
        size, words = float(text.attrib["font-size"]), str(text.text)
        mono = "monospace" in text.get("font-family", "")
        across = width(words, size, bold="font-weight" in text.attrib, mono=mono)
        x, y = float(text.attrib["x"]), float(text.attrib["y"])
        left = x - across * {"start": 0.0, "middle": 0.5, "end": 1.0}[text.attrib["text-anchor"]]
        extents.append((words, left, y - 0.75 * size, left + across, y + 0.22 * size))
    return extents


def boxes_drawn() -> list[Extent]:
    rectangles = ET.fromstring(draw()).iter("{http://www.w3.org/2000/svg}rect")
    sides = [[float(box.attrib[key]) for key in ("x", "y", "width", "height")] for box in rectangles]
    return [("box", x, y, x + width, y + height) for x, y, width, height in sides]


def apart(a: Extent, b: Extent) -> bool:
    return a[3] <= b[1] or b[3] <= a[1] or a[4] <= b[2] or b[4] <= a[2]


def inside(a: Extent, b: Extent) -> bool:
    return b[1] <= a[1] and b[2] <= a[2] and a[3] <= b[3] and a[4] <= b[4]


def test_no_words_of_the_picture_overlap() -> None:
    words = words_drawn()
    assert [(a[0], b[0]) for a, b in itertools.combinations(words, 2) if not apart(a, b)] == []


def test_words_of_the_picture_stay_within_their_boxes() -> None:
    canvas = ("canvas", 0.0, 0.0, float(WIDTH), float(HEIGHT))
    boxes = [canvas, *boxes_drawn()]
    assert [a[0] for a in words_drawn() for b in boxes if not (apart(a, b) or inside(a, b))] == []
    assert all(inside(a, canvas) for a in words_drawn())
