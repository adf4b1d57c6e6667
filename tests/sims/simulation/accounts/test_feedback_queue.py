import numpy as np

from highwayman.env.types import Context
from highwayman.sims.simulation.accounts.feedback_queue import FeedbackQueue
from highwayman.sims.simulation.drawing import generator
from highwayman.sims.simulation.scenario import stationary
from highwayman.sims.tables.table import FullTable


def test_feedback_comes_in_the_order_of_its_delays_once_and_only_where_somebody_says_something() -> None:
    table = FullTable.from_arrays(("a", "b"), np.array([[0.9, 0.2]]))
    met = stationary(table, rounds=4, rng=generator(0, "prompts"))
    feedback = met.feedback.copy()
    feedback[3, 0] = np.nan
    met = met.replace(feedback=feedback, delay_s=np.array([[9.0, 9.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]))
    queue = FeedbackQueue(met, [Context(np.ones(1), "f", 1)] * 4, [0.0, 1.0, 2.0, 3.0])
    for t, action in enumerate([0, 1, 0, 0]):
        queue.put(t, action)
    come = queue.come_by(2.0)
    assert [(t, change.arm, change.weighted, change.at) for t, change in come] == [
        (1, "b", 0.2, 1.0),
        (2, "a", 0.9, 2.0),
    ]
    assert queue.come_by(8.9) == []
    assert [t for t, _ in queue.come_by(9.0)] == [0]
