import pytest

from highwayman.sims.simulation.worlds.tool_loops import ToolLoops
from tests.sims.simulation.courses import course


def test_a_share_of_the_requests_is_in_a_tool_loop() -> None:
    scenario = course(ToolLoops(share=0.3), rounds=4000)
    assert scenario.in_tool_loop is not None
    assert scenario.in_tool_loop.mean() == pytest.approx(0.3, abs=0.03)
    assert not course(rounds=10).has_tool_loops


def test_a_share_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"share must be a number in \[0, 1\], got 2"):
        ToolLoops(share=2.0)
