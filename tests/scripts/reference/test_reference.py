"""docs/reference/ is what the code says of itself; the page of routes is checked beside the document of a router."""

import pytest

from scripts.reference.__main__ import FOLDER
from scripts.reference.commands import commands_page
from scripts.reference.keys import configuration_page, pool_page
from scripts.reference.log_format import log_format_page


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("configuration", configuration_page),
        ("pool", pool_page),
        ("commands", commands_page),
        ("log_format", log_format_page),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_the_reference_is_up_to_date(name: str, text: object) -> None:
    assert callable(text)
    assert (FOLDER / f"{name}.md").read_text(encoding="utf-8") == text(), "make reference"


def test_everything_in_the_reference_says_what_it_is() -> None:
    for text in (configuration_page(), pool_page(), commands_page(), log_format_page()):
        assert [line for line in text.splitlines() if line.endswith("|  |")] == []
