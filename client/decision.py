"""A decision in the hand: what can be said of it, and asked about it, without naming it each time."""

from collections.abc import Coroutine
from typing import Any, TypeVar, Unpack

from highwayman.client.call import AsyncSender, Call, SyncSender, method
from highwayman.client.feedback_methods import said
from highwayman.client.results import DecisionReport, Receipt
from highwayman.client.router_methods import decision_report
from highwayman.client.statement import About, HasId, Statement, Value

T = TypeVar("T")


class DecisionMethods:
    """What can be done with a decision."""

    id: str

    @method
    def say(self, value: Value, metric: str = "thumbs", **about: Unpack[About]) -> Call[Receipt]:
        """Say a value of a metric; None takes back what the same source and user said of it."""
        return said(Statement(self.id, value, metric, **about))

    @method
    def thumbs_up(self, **about: Unpack[About]) -> Call[Receipt]:
        """Say that the answer was good."""
        return said(Statement(self.id, True, **about))

    @method
    def thumbs_down(self, **about: Unpack[About]) -> Call[Receipt]:
        """Say that the answer was bad."""
        return said(Statement(self.id, False, **about))

    @method
    def comment(self, words: str, **about: Unpack[About]) -> Call[Receipt]:
        """Say something of the answer in words."""
        return said(Statement(self.id, words, "comment", **about))

    @method
    def edited(self, better: str, **about: Unpack[About]) -> Call[Receipt]:
        """Say what a person made of the answer."""
        return said(Statement(self.id, better, "demonstration", **about))

    @method
    def prefer_over(self, other: str | HasId, **about: Unpack[About]) -> Call[Receipt]:
        """Say that the answer is better than another."""
        return said(Statement(self.id, 1.0, "preference", other=other, **about))

    @method
    def report(self) -> Call[DecisionReport]:
        """Return all that is known of the decision: why, what came of it, what was said."""
        return decision_report(self.id)


class SyncDecision(DecisionMethods, SyncSender):
    """A decision of a sync client's."""

    def __init__(self, decision_id: str, client: SyncSender) -> None:
        self.id = decision_id
        self._client = client

    def send(self, call: Call[T]) -> T:
        """Return what the router answers. Raises RouterError."""
        return self._client.send(call)

    def __repr__(self) -> str:
        return f"SyncDecision({self.id!r})"


class AsyncDecision(DecisionMethods, AsyncSender):
    """A decision of an async client's."""

    def __init__(self, decision_id: str, client: AsyncSender) -> None:
        self.id = decision_id
        self._client = client

    def send(self, call: Call[T]) -> Coroutine[Any, Any, T]:
        """Return what the router answers. Raises RouterError."""
        return self._client.send(call)

    def __repr__(self) -> str:
        return f"AsyncDecision({self.id!r})"
