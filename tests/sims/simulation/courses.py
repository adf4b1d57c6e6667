"""A small table, and courses drawn from it."""

import numpy as np

from highwayman.env.types import Context
from highwayman.sims.simulation.drawing import draw_scenario
from highwayman.sims.simulation.scenario import Scenario, World
from highwayman.sims.tables.table import FullTable

ARMS = ("small", "middle", "large")
QUALITY = (0.3, 0.5, 0.8)
COSTS = (0.001, 0.003, 0.021)


def table(n: int = 40) -> FullTable:
    """Return n prompts of two tasks; qualities lie around QUALITY, every call costs what COSTS says."""
    wave = 0.2 * np.sin(np.arange(n))[:, None]
    tasks = ["code" if row < n // 2 else "talk" for row in range(n)]
    costs = np.broadcast_to(np.array(COSTS), (n, 3)).copy()
    return FullTable.from_arrays(ARMS, np.array(QUALITY) + wave, tasks=tasks, cost_usd=costs)


def course(*worlds: World, rounds: int = 4000, seed: int = 0) -> Scenario:
    """Return a course of that table."""
    return draw_scenario(table(), worlds, rounds=rounds, seed=seed)


def contexts(n: int = 40) -> list[Context]:
    """Return the contexts of the table's prompts."""
    return [Context(np.array([np.sin(row), 1.0]), "f", 1) for row in range(n)]
