import numpy as np
import pytest

from highwayman.sims.simulation.scenario import WorldError, stationary
from highwayman.sims.simulation.worlds.traffic_drift import TrafficDrift
from highwayman.sims.tables.table import FullTable
from tests.sims.simulation.courses import course


def share_of_code(strength: float) -> tuple[float, float]:
    tasks = np.array(course(TrafficDrift(strength=strength)).tasks) == "code"
    return float(tasks[:1000].mean()), float(tasks[-1000:].mean())


def test_the_mix_of_tasks_shifts_more_the_stronger_the_drift() -> None:
    spreads = [abs(np.subtract(*share_of_code(strength))) for strength in (0.0, 0.5, 1.0)]
    assert spreads[0] < 0.1
    assert 0.3 < spreads[1] < 1.0
    assert spreads[2] == 1.0


def test_the_same_prompts_come_with_all_that_belongs_to_them_at_the_same_times() -> None:
    before, after = course(), course(TrafficDrift(strength=0.8))
    assert sorted(after.rows) == sorted(before.rows)
    assert not np.array_equal(after.rows, before.rows)
    assert np.array_equal(after.at, before.at)
    by_row = dict(zip(before.rows.tolist(), before.quality.tolist(), strict=True))
    assert [by_row[row] for row in after.rows.tolist()] == after.quality.tolist()
    assert [("code" if row < 20 else "talk") for row in after.rows] == list(after.tasks)


def test_by_difficulty_easy_prompts_come_first() -> None:
    means = course(TrafficDrift(strength=1.0, by="difficulty")).quality.mean(axis=1)
    assert (np.diff(means) <= 1e-12).all()


def test_without_tasks_there_is_no_drift_of_tasks() -> None:
    rng = np.random.default_rng(0)
    plain = stationary(FullTable.from_arrays(("a",), np.full((3, 1), 0.5)), rounds=6, rng=rng)
    with pytest.raises(WorldError, match="needs prompts of two tasks or more; by=difficulty needs none"):
        TrafficDrift().apply(plain, rng)


def test_drift_by_anything_else_is_refused() -> None:
    with pytest.raises(ValueError, match="by must be 'task' or 'difficulty', got 'taste'"):
        TrafficDrift(by="taste")
