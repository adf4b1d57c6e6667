from dataclasses import replace

import pytest

from highwayman.env.errors import UpstreamError
from highwayman.env.types import Arm, Attempt
from highwayman.env.upstream.answers.endings import ANSWERED, Account, Ending
from highwayman.env.upstream.attempts.attempts import AttemptLog
from highwayman.env.upstream.calls.response import UpstreamResponse

SMALL = Arm("small", ("http://s:1",), "m", None, None, 4096)
TOO_SMALL = Account(Ending.WINDOW_TOO_SMALL, "its context window is too small", 400)
NO_TOOLS = Account(Ending.TOOLS_REFUSED, "it takes no tools", 400)
SLOW = Account(Ending.ARMS_FAULT, "it did not answer in time", 504)


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def log_of(*accounts: Account) -> AttemptLog:
    """Return a log of attempts that each took two seconds."""
    clock = Clock()
    log = AttemptLog([], clock)
    for number, account in enumerate(accounts):
        log.begin(replace(SMALL, name=f"arm{number}"), f"http://{number}")
        clock.now += 2.0
        log.end(account)
    return log


def refused(account: Account) -> UpstreamResponse:
    return UpstreamResponse(SMALL, 400, "application/json", 0.0, 0.0, b"{}", account=account)


def test_every_attempt_is_on_record_with_who_where_how_long_and_why() -> None:
    assert log_of(SLOW, ANSWERED).tried == [
        Attempt("arm0", "http://0", 2.0, "arms_fault", "it did not answer in time"),
        Attempt("arm1", "http://1", 2.0, "answered", ""),
    ]


@pytest.mark.parametrize(("told", "least"), [(None, 4096), (512, 512), (100_000, 100_000)])
def test_after_a_window_too_small_only_larger_ones_fit_by_what_its_server_said_if_it_did(
    told: int | None, least: int
) -> None:
    log = log_of()
    assert log.may_fit(replace(SMALL, context_window_tokens=1))
    log.refused = refused(replace(TOO_SMALL, window_tokens=told))
    fits = [log.may_fit(replace(SMALL, context_window_tokens=tokens)) for tokens in (least - 1, least, least + 1)]
    assert fits == [False, False, True]


def test_the_error_tells_the_last_attempt_the_status_of_the_last_fault_and_the_soonest_rest() -> None:
    busy = [Account(Ending.ARMS_FAULT, "answered 429", 429, rest_s=rest_s) for rest_s in (30.0, 7.0, None)]
    error = log_of(*busy, Account(Ending.CLIENT_LEFT, "gone")).error()
    assert str(error) == "No model server answered after 4 attempt(s); the last, arm 'arm3': gone"
    assert (error.status, error.attempts, error.retry_after_s) == (429, 4, 7.0)


def test_where_nobody_could_be_asked_the_error_says_so() -> None:
    error = log_of().error()
    assert (error.status, error.attempts, error.retry_after_s) == (502, 0, None)
    assert str(error).endswith("it has no endpoint")


def test_a_refusal_reaches_the_caller_only_if_it_was_the_last_word() -> None:
    for account, name in ((TOO_SMALL, "refused"), (NO_TOOLS, "without_tools")):
        last, not_last = log_of(SLOW, account), log_of(account, SLOW)
        for log in (last, not_last):
            setattr(log, name, refused(account))
        assert last.refusal().account is account
        with pytest.raises(UpstreamError, match=r"after 2 attempt\(s\)"):
            not_last.refusal()


def test_of_two_kinds_of_refusals_the_last_one_reaches_the_caller() -> None:
    for accounts in ((TOO_SMALL, NO_TOOLS), (NO_TOOLS, TOO_SMALL)):
        log = log_of(*accounts)
        log.refused, log.without_tools = refused(TOO_SMALL), refused(NO_TOOLS)
        assert log.refusal().account is accounts[-1]
