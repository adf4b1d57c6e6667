"""Ids of statements: whoever filed one takes it back by its id.

A statement about one decision, addressed by that decision's id, is named by both: no look-up is needed to find it. Any
other may speak of several decisions, or be replaced under a name that its sender gave it; what stands before the dot in
its id is a link under which its decisions are found.
"""

import secrets

from highwayman.env.types import Feedback

_BYTES = 9
_DOT, _COLON = ".", ":"


def new_feedback_id() -> str:
    """Return an id for a statement about one decision."""
    return secrets.token_urlsafe(_BYTES)


def linked_id(head: str, *, once: bool = False) -> str:
    """Return an id under the link `head`; the same each time for a statement that counts `once`."""
    return f"{head}{_DOT}{'once' if once else secrets.token_urlsafe(_BYTES)}"


def is_linked(statement_id: str) -> bool:
    """Return whether its decisions are found under a link."""
    return _DOT in statement_id


def link_of(statement_id: str) -> str:
    """Return the link under which its decisions are found, or the whole id."""
    return statement_id.partition(_DOT)[0]


def public_id(feedback: Feedback) -> str:
    """Return what a statement is taken back by."""
    return link_of(feedback.id) if is_linked(feedback.id) else f"{feedback.decision_id}{_COLON}{feedback.id}"


def split_public_id(public: str) -> tuple[str, str]:
    """Return the decision that a public id names, empty for a link, and the statement's own id or link."""
    decision_id, _, own_id = public.rpartition(_COLON)
    return decision_id, own_id
