"""Calls that no client asked for, as they come to the log."""

from dataclasses import replace
from typing import Any, cast

from highwayman.env.encoder.features.tags import NAMED_CALL, Tag, TagColumns, tag_places
from highwayman.env.types import Decision, Mode, Outcome, Usage
from highwayman.feedback.log.writing.journal import Journal
from highwayman.serving.completions.calls.internal_calls import InternalCall, InternalCalls
from tests.feedback.worlds import context, decision
from tests.serving.running_router import arm


class Kept:
    """A journal that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    async def put(self, event: Decision | Outcome) -> None:
        self.events.append(event)


async def test_a_shadow_call_is_on_the_log_as_one_whose_arm_was_named() -> None:
    journal, columns = Kept(), TagColumns((Tag(NAMED_CALL, ("yes",)),))
    calls = InternalCalls(cast(Journal, journal), lambda tenant: f"of {tenant}", lambda: 1.0, lambda outcome: None)
    cause = replace(decision("d"), context=columns.apply(context(), []))
    call = InternalCall(arm("b", "http://x"), Usage(3, 4), 0.1, 0.5, ok=True)
    assert await calls.record(call, cause, Mode.SHADOW, objective="shadow") == "of default"
    made, ended = journal.events
    assert (made.mode, made.arms, tag_places(made.context)) == (Mode.SHADOW, ("b",), {NAMED_CALL: 0})
    assert (ended.arm, ended.tokens_in, ended.tokens_out, ended.cost_usd) == ("b", 3, 4, 0.1)
    assert tag_places(cause.context) == {}
