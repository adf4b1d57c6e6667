"""The attempts made for one request: what is on record of each, and what is told when all are out."""

import asyncio
from collections.abc import Callable

from highwayman.env.errors import UpstreamError
from highwayman.env.types import Arm, Attempt
from highwayman.env.upstream.answers.endings import Account, Ending
from highwayman.env.upstream.attempts.targets import Target
from highwayman.env.upstream.calls.response import UpstreamResponse


class AttemptLog:
    """What was tried for one request so far."""

    def __init__(self, tried: list[Attempt], clock: Callable[[], float]) -> None:
        """Take the list that every attempt goes to, and the clock, monotonic seconds."""
        self.tried = tried
        self.refused: UpstreamResponse | None = None  # by an arm whose window was too small
        self.without_tools: UpstreamResponse | None = None  # what an arm that takes no tools said
        self.declined: UpstreamResponse | None = None  # by an arm that does not do what is asked
        self.overtaken: list[tuple[Target, asyncio.Task[UpstreamResponse]]] = []  # that go on while another is asked
        self._clock = clock
        self._arm = ""  # that is asked now
        self._endpoint = ""
        self._begun_at = 0.0
        self._last: Account | None = None  # of an arm that was at fault
        self._rests_s: list[float] = []

    def may_fit(self, arm: Arm) -> bool:
        """Return whether the arm may be asked: after one whose window was too small, only if its own is larger."""
        if self.refused is None:
            return True
        tokens = self.refused.account.window_tokens or self.refused.arm.context_window_tokens
        return arm.context_window_tokens > tokens

    def begin(self, arm: Arm, endpoint: str, at: float | None = None) -> None:
        """Note that a call is sent, or was sent before."""
        self._arm, self._endpoint, self._begun_at = arm.name, endpoint, self._clock() if at is None else at

    def end(self, account: Account) -> None:
        """Note how the call that was sent last ended."""
        seconds = self._clock() - self._begun_at
        self.tried.append(Attempt(self._arm, self._endpoint, seconds, str(account.ending), account.why))
        if account.ending is Ending.ARMS_FAULT:
            self._last = account
            if account.rest_s is not None:
                self._rests_s.append(account.rest_s)

    def refusal(self) -> UpstreamResponse:
        """Return what the last arm said of its window, of what it does not do, or that it takes no tools.

        Raises UpstreamError where the last one failed, or there are none.
        """
        if self.without_tools is not None and self.tried[-1].ending == Ending.TOOLS_REFUSED:
            return self.without_tools
        if self.declined is not None and self.tried[-1].ending == Ending.CALLERS_FAULT:
            return self.declined
        if self.refused is None or self.tried[-1].ending != Ending.WINDOW_TOO_SMALL:
            raise self.error()
        return self.refused

    def error(self) -> UpstreamError:
        """Return the error that says that all are out."""
        last = self.tried[-1] if self.tried else None
        why = f"{last.arm!r}: {last.why}" if last is not None else "it has no endpoint"
        return UpstreamError(
            f"No model server answered after {len(self.tried)} attempt(s); the last, arm {why}",
            status=self._last.status if self._last is not None else 502,
            attempts=len(self.tried),
            retry_after_s=min(self._rests_s, default=None),
        )
