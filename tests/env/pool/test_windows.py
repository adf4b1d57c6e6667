"""What servers say of their windows is believed for a while."""

from highwayman.env.pool.windows import WindowBeliefs
from highwayman.env.types import Arm

MINUTE, DAY = 60.0, 86_400.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def arm() -> Arm:
    return Arm("a", ("http://a:1",), "m", None, None, 4096)


def test_a_servers_words_are_believed_for_ten_minutes_and_twice_as_long_when_it_says_so_again() -> None:
    clock = Clock()
    beliefs = WindowBeliefs(clock)
    for minutes in (10, 20, 40):
        assert beliefs.window_tokens(arm()) == 4096
        beliefs.on_refused(arm(), 512, 600)
        clock.now += minutes * MINUTE - 1
        assert beliefs.window_tokens(arm()) == 512
        clock.now += 1
    for _ in range(10):
        beliefs.on_refused(arm(), 512, 600)
        clock.now += DAY
    beliefs.on_refused(arm(), 512, 600)
    clock.now += DAY - 1
    assert beliefs.window_tokens(arm()) == 512
    clock.now += 1
    assert beliefs.window_tokens(arm()) == 4096


def test_the_same_words_while_they_are_believed_renew_them_and_last_no_longer() -> None:
    clock = Clock()
    beliefs = WindowBeliefs(clock)
    beliefs.on_refused(arm(), 512, 600)
    clock.now = 9 * MINUTE
    beliefs.on_refused(arm(), 512, 600)
    clock.now = 19 * MINUTE - 1
    assert beliefs.window_tokens(arm()) == 512
    clock.now = 19 * MINUTE
    assert beliefs.window_tokens(arm()) == 4096


def test_a_guess_is_just_below_what_was_refused_and_never_below_what_was_answered() -> None:
    beliefs = WindowBeliefs(Clock())
    beliefs.on_refused(arm(), None, 1000)
    assert beliefs.window_tokens(arm()) == 999
    beliefs.on_refused(arm(), None, 800)
    assert beliefs.window_tokens(arm()) == 799
    beliefs.on_answered(arm(), 900)
    beliefs.on_answered(arm(), 100)
    assert beliefs.window_tokens(arm()) == 900
    beliefs.on_refused(arm(), None, 300)
    assert beliefs.window_tokens(arm()) == 900


def test_a_number_that_is_told_counts_whatever_was_answered_before() -> None:
    """Its server was started anew, with a smaller window."""
    beliefs = WindowBeliefs(Clock())
    beliefs.on_answered(arm(), 3000)
    beliefs.on_refused(arm(), 512, 600)
    assert beliefs.window_tokens(arm()) == 512


def test_nobody_is_believed_to_have_more_than_the_pool_file_says_or_nothing() -> None:
    beliefs = WindowBeliefs(Clock())
    beliefs.on_answered(arm(), 9000)
    for told, needed in ((9000, 600), (4096, 600), (0, 600), (None, 0), (None, 9000)):
        beliefs.on_refused(arm(), told, needed)
        assert beliefs.window_tokens(arm()) == 4096
