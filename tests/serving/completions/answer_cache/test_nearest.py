"""The nearest of the questions that may be compared."""

import numpy as np
import pytest

from highwayman.env.types import Floats
from highwayman.serving.completions.answer_cache.nearest import NearestQuestions


def unit(*numbers: float) -> Floats:
    return np.array(numbers) / np.linalg.norm(numbers)


def stored(*numbers: float) -> bytes:
    return unit(*numbers).astype(np.float16).tobytes()


def test_the_nearest_of_a_group_is_told_with_its_cosine_whatever_other_groups_hold() -> None:
    questions = NearestQuestions(2, entries=10)
    questions.add("far", "g", stored(0, 1))
    questions.add("near", "g", stored(1, 1))
    questions.add("same", "other", stored(1, 0))
    nearest = questions.nearest("g", unit(1, 0))
    assert nearest is not None
    assert nearest[0] == "near"
    assert nearest[1] == pytest.approx(np.sqrt(0.5), abs=1e-3)
    assert questions.nearest("nobody's", unit(1, 0)) is None


def test_what_is_dropped_and_vectors_of_another_width_are_not_told() -> None:
    questions = NearestQuestions(2, entries=10)
    questions.add("gone", "g", stored(1, 0))
    questions.add("wider", "g", stored(1, 0, 0))
    questions.drop("gone")
    questions.drop("never there")
    assert questions.nearest("g", unit(1, 0)) is None


def test_the_oldest_go_first_and_groups_stay_apart_however_many_come() -> None:
    questions = NearestQuestions(2, entries=3)
    for number in range(50):
        questions.add(f"q{number}", f"g{number % 25}", stored(1, number))
    kept = {
        group: found[0] for group in (f"g{k}" for k in range(25)) if (found := questions.nearest(group, unit(1, 1)))
    }
    assert kept == {"g22": "q47", "g23": "q48", "g24": "q49"}
