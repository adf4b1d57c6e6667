"""Examples in docstrings, of the modules that have some."""

import doctest
import importlib

import pytest

MODULES = (
    *("bandit.draw", "bandit.loading", "client", "client.endpoint", "client.errors", "client.statement"),
    *("env.cost.efficiency", "env.suggestions", "feedback.intake.decision_ids", "sims.simulation.world_spec"),
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_come_out_as_they_say(name: str) -> None:
    results = doctest.testmod(importlib.import_module(f"highwayman.{name}"))
    assert results.attempted > 0
    assert results.failed == 0
