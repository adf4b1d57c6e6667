"""Examples in docstrings, of the modules that have some."""

import doctest
import importlib

import pytest

MODULES = ("client", "client.endpoint", "client.errors", "client.statement")


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_come_out_as_they_say(name: str) -> None:
    results = doctest.testmod(importlib.import_module(f"highwayman.{name}"))
    assert results.attempted > 0
    assert results.failed == 0
