from highwayman.env.pool.tool_beliefs import ToolBeliefs
from highwayman.env.types import Arm


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def arm(tools: bool | None) -> Arm:
    return Arm("a", ("http://a:1",), "m", None, None, 1000, tools=tools)


def test_nothing_is_believed_but_what_the_pool_file_says_until_an_answer_tells() -> None:
    beliefs = ToolBeliefs(Clock())
    assert [beliefs.believed(arm(tools)).tools for tools in (True, False, None)] == [True, False, None]
    beliefs.on_called(arm(None))
    assert [beliefs.believed(arm(tools)).tools for tools in (True, False, None)] == [True, False, True]


def test_a_refusal_is_believed_for_a_while_and_a_further_one_for_twice_as_long() -> None:
    clock = Clock()
    beliefs = ToolBeliefs(clock)
    ends = []
    for _ in range(3):
        beliefs.on_refused(arm(True))
        beliefs.on_refused(arm(True))  # of a call that was under way: it says nothing new
        begun = clock.now
        while beliefs.believed(arm(True)).tools is False:
            clock.now += 10
        ends.append(clock.now - begun)
    assert ends == [60, 120, 240]
    beliefs.on_called(arm(True))
    beliefs.on_refused(arm(True))
    clock.now += 60
    assert beliefs.believed(arm(True)).tools is True


def test_a_refusal_is_never_believed_for_more_than_an_hour() -> None:
    clock = Clock()
    beliefs = ToolBeliefs(clock)
    for _ in range(100):
        beliefs.on_refused(arm(None))
        clock.now += 3600
        assert beliefs.believed(arm(None)).tools is None


def test_tools_that_were_not_read_say_something_of_an_arm_of_which_nobody_said_that_it_calls_them() -> None:
    beliefs = ToolBeliefs(Clock())
    beliefs.on_ignored(arm(True))
    assert beliefs.believed(arm(True)).tools is True
    beliefs.on_ignored(arm(None))
    assert beliefs.believed(arm(None)).tools is False


def test_an_arm_that_has_called_a_tool_is_known_to_read_them() -> None:
    beliefs = ToolBeliefs(Clock())
    beliefs.on_called(arm(None))
    beliefs.on_ignored(arm(None))
    assert beliefs.believed(arm(None)).tools is True
