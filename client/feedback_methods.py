"""Saying what an answer was worth."""

from typing import Any, Unpack
from urllib.parse import quote

from highwayman.client.call import Call, method
from highwayman.client.results import Receipt
from highwayman.client.statement import About, Answer, HasId, Statement, Value


class FeedbackMethods:
    """What clients can say of answers. An answer is meant by its id, by itself, or by ids of your own (`Request`,
    `Conversation`). Whatever is said may be sent twice: it counts once.
    """

    @method
    def say(self, answer: Answer, value: Value, metric: str = "thumbs", **about: Unpack[About]) -> Call[Receipt]:
        """Say a value of a metric; None takes back what the same source and user said of it."""
        return said(Statement(answer, value, metric, **about))

    @method
    def thumbs_up(self, answer: Answer, **about: Unpack[About]) -> Call[Receipt]:
        """Say that an answer was good."""
        return said(Statement(answer, True, **about))

    @method
    def thumbs_down(self, answer: Answer, **about: Unpack[About]) -> Call[Receipt]:
        """Say that an answer was bad."""
        return said(Statement(answer, False, **about))

    @method
    def comment(self, answer: Answer, words: str, **about: Unpack[About]) -> Call[Receipt]:
        """Say something of an answer in words; it is kept, and is no part of the reward."""
        return said(Statement(answer, words, "comment", **about))

    @method
    def edited(self, answer: Answer, better: str, **about: Unpack[About]) -> Call[Receipt]:
        """Say what a person made of an answer (metric `demonstration`); it is kept, and is no part of the reward."""
        return said(Statement(answer, better, "demonstration", **about))

    @method
    def prefer(
        self, answer: str | HasId, over: str | HasId, *, by: float = 1.0, **about: Unpack[About]
    ) -> Call[Receipt]:
        """Say that an answer is better than another: `by` 1 it is, 0 the other is, 0.5 neither."""
        return said(Statement(answer, by, "preference", other=over, **about))

    @method
    def retract(self, said_before: Receipt | str) -> Call[Receipt]:
        """Take back a statement, by its receipt or the receipt's id."""
        name = said_before if isinstance(said_before, str) else said_before.id
        return Call("DELETE", f"/feedback/{quote(name, safe='')}", Receipt.model_validate)


def said(statement: Statement) -> Call[Receipt]:
    """Return the call that files a statement."""
    body: dict[str, Any] = dict(statement.body())
    return Call("POST", "/feedback", Receipt.model_validate, body)
