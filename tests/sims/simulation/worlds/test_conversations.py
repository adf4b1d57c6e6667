"""Requests as turns of conversations."""

from itertools import pairwise

import numpy as np
import pytest

from highwayman.sims.simulation.scenario import Scenario, WorldError
from highwayman.sims.simulation.worlds.conversations import Conversations
from highwayman.sims.simulation.worlds.traffic_drift import TrafficDrift
from tests.sims.simulation.courses import COSTS, course


def by_conversation(scenario: Scenario) -> list[np.ndarray]:
    """The rounds of each conversation, in the order of time."""
    assert scenario.conversations is not None
    numbers = scenario.conversations.conversation
    return [np.flatnonzero(numbers == number) for number in np.unique(numbers)]


def test_turns_come_in_order_at_gaps_and_conversations_side_by_side() -> None:
    scenario = course(Conversations(turns=5.0, gap_s=40.0), rounds=3000)
    assert scenario.conversations is not None
    talks = by_conversation(scenario)
    for rounds in talks:
        assert scenario.conversations.turn[rounds].tolist() == list(range(len(rounds)))
    assert scenario.n / len(talks) == pytest.approx(5.0, rel=0.15)
    gaps = np.concatenate([np.diff(scenario.at[rounds]) for rounds in talks])
    assert gaps.mean() == pytest.approx(40.0, rel=0.15)
    assert (np.diff(scenario.at) >= 0).all()
    assert np.median(np.diff(scenario.at)) < 2.0
    assert scenario.at[0] == 0.0


def test_every_turn_reads_again_what_came_before() -> None:
    scenario = course(Conversations(growth=0.5), rounds=500)
    assert scenario.conversations is not None
    factor = 1.0 + 0.5 * scenario.conversations.turn[:, None]
    assert scenario.cost_usd == pytest.approx(factor * np.array(COSTS))
    assert scenario.price_usd == pytest.approx(scenario.cost_usd)


@pytest.mark.parametrize("change", [0.0, 1.0])
def test_a_topic_changes_within_a_conversation_as_often_as_it_is_asked_for(change: float) -> None:
    scenario = course(Conversations(topic_change=change), rounds=2000)
    same = np.concatenate(
        [
            [scenario.tasks[earlier] == scenario.tasks[later] for earlier, later in pairwise(rounds)]
            for rounds in by_conversation(scenario)
        ]
    )
    assert same.mean() == pytest.approx(1.0 if change == 0.0 else 0.5, abs=0.06)  # of two tasks, one is drawn anew


def test_what_is_true_of_a_prompt_goes_with_it() -> None:
    scenario, calm = course(Conversations(), rounds=300), course(rounds=300)
    quality_of = {int(row): quality for row, quality in zip(calm.rows, calm.quality, strict=True)}
    for row, quality in zip(scenario.rows, scenario.quality, strict=True):
        assert quality.tolist() == quality_of[int(row)].tolist()


def test_turns_are_not_put_into_another_order() -> None:
    with pytest.raises(WorldError, match="Conversations has an order of its own: name it last"):
        course(Conversations(), TrafficDrift())
    assert course(TrafficDrift(), Conversations(), rounds=50).n == 50


def test_parameters_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"turns must be a number >= 1, got 0.5"):
        Conversations(turns=0.5)
    with pytest.raises(ValueError, match="cache_s must be a number > 0, got 0"):
        Conversations(cache_s=0.0)
