"""A scenario drawn from a table and worlds, and the generators that make all of it repeatable."""

from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from highwayman.sims.simulation.scenario import Scenario, Stage, World, WorldError, stationary
from highwayman.sims.tables.table import FullTable


def generator(seed: int, name: str) -> np.random.Generator:
    """Return the generator of one purpose: the same for the same seed and name, independent of any other's."""
    number = int.from_bytes(sha256(name.encode()).digest()[:8], "big")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))


def draw_scenario(table: FullTable, worlds: Sequence[World], *, rounds: int, seed: int) -> Scenario:
    """Return a scenario of `rounds` rounds of prompts from `table`, as `worlds` have it. Raises WorldError."""
    return compose(stationary(table, rounds=rounds, rng=generator(seed, "prompts")), worlds, seed=seed)


def compose(scenario: Scenario, worlds: Sequence[World], *, seed: int) -> Scenario:
    """Return the scenario with worlds applied stage by stage, within a stage in the order given.

    Each draws from a generator named after its class, and numbered if there are several of one: adding a world leaves
    the noise of the others alone. Of two worlds that give feedback on the same answer, the later one counts.

    Raises:
        WorldError: a world does not fit the scenario, or a round is left without any arm.
    """
    counts: dict[str, int] = {}
    has_feedback_world = False
    for world in sorted(worlds, key=lambda world: world.stage):
        name = type(world).__name__
        counts[name] = counts.get(name, 0) + 1
        changed = world.apply(scenario, generator(seed, f"{name} {counts[name]}"))
        if has_feedback_world and world.stage is Stage.FEEDBACK:
            changed = changed.replace(
                feedback=np.where(np.isnan(changed.feedback), scenario.feedback, changed.feedback)
            )
        has_feedback_world = has_feedback_world or world.stage is Stage.FEEDBACK
        scenario = changed
    empty = ~scenario.available.any(axis=1)
    if empty.any():
        raise WorldError(f"no arm is left in the pool in round {int(np.flatnonzero(empty)[0])}; remove fewer")
    return scenario
