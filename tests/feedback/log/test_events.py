import contextlib
from dataclasses import replace
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.types import Attempt, CascadeStage, Decision
from highwayman.feedback.log.events import SCHEMA, BadEvent, Event, UnwritableEvent, decode, encode
from tests.feedback.worlds import decision, outcome, thumb


def test_a_decision_comes_back_as_it_was() -> None:
    there = decision("d1")
    back = decode(encode(there))
    assert isinstance(back, Decision)
    assert back.context.features.tolist() == there.context.features.tolist()
    assert (back.context.fingerprint, back.context.flags) == (there.context.fingerprint, there.context.flags)
    assert back.probs.tolist() == there.probs.tolist()
    assert back.penalties.tolist() == there.penalties.tolist()
    assert (back.id, back.at, back.arms, back.action, back.propensity) == (
        there.id, there.at, there.arms, there.action, there.propensity,
    )  # fmt: skip
    assert (back.mode, back.policy_version, back.arm) == (there.mode, there.policy_version, there.arm)


@pytest.mark.parametrize("event", [outcome("d1"), outcome("d1", cost_usd=None), thumb("d1", 1.0), thumb("d1", None)])
def test_outcomes_and_feedback_come_back_as_they_were(event: object) -> None:
    assert decode(encode(event)) == event  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "more",
    [{"quality": 0.0}, {"quality": 0.5}, {"key": "k"}, {"text": "well"}, {"compared_arm": "b"}, {"quarantined": True}],
)
def test_whatever_is_said_beside_a_value_comes_back_if_it_is_all_there_is(more: dict[str, Any]) -> None:
    said = replace(thumb("d1", 1.0), **more)
    assert decode(encode(said)) == said
    assert len(encode(said)) > len(encode(replace(said, **{name: getattr(thumb("d1", 1.0), name) for name in more})))


STAGES = (
    CascadeStage("a", {"token_logprob": -0.25}, 0.4, 0.75, True, "b", 20, 7, 0.001, 0.5),
    CascadeStage("b", {}, 0.9, 0.0, False),
)
TRIED = (Attempt("a", "http://a:1", 0.25, "arms_fault", "answered 503"), Attempt("b", "http://b:1", 1.5, "answered"))


@pytest.mark.parametrize(
    "more",
    [
        {"tried": TRIED},
        {"tokens_cached": 5},
        {"estimated": True},
        {"tools_dropped": True},
        {"stages": STAGES},
        {"wh": 0.25},
        {"tried": TRIED, "tokens_cached": 5, "estimated": True},
    ],
    ids=str,
)
def test_what_is_known_of_the_attempts_comes_back_as_it_was(more: dict[str, Any]) -> None:
    there = replace(outcome("d1"), **more)
    assert decode(encode(there)) == there


def test_an_outcome_stands_on_the_log_as_code_of_before_can_read_it() -> None:
    schema, kind, *fields = msgpack.unpackb(encode(replace(outcome("d1"), tried=TRIED, estimated=True)))
    assert (schema, kind, len(fields)) == (2, "o", 12)  # that is all it asks for
    assert encode(outcome("d1")) == msgpack.packb([2, "o", *fields[:11], 2])


def test_an_outcome_of_before_is_read_and_so_is_one_of_a_later_version() -> None:
    schema, kind, *fields = msgpack.unpackb(encode(replace(outcome("d1"), tried=TRIED)))
    assert decode(msgpack.packb([schema, kind, *fields[:11], 2])) == outcome("d1")
    count, tried, *more = fields[11]
    later = [count, [[*attempt, "new"] for attempt in tried], *more, "new"]
    assert decode(msgpack.packb([schema, kind, *fields[:11], later])) == replace(outcome("d1"), tried=TRIED)


def test_stages_of_a_later_version_are_read_as_far_as_they_are_known() -> None:
    schema, kind, *fields = msgpack.unpackb(encode(replace(outcome("d1"), stages=STAGES)))
    *rest, named = fields[11]
    named["stages"] = [[*stage, "new"] for stage in named["stages"]]
    assert decode(msgpack.packb([schema, kind, *fields[:11], [*rest, named]])) == replace(outcome("d1"), stages=STAGES)


def test_a_signal_that_is_not_finite_is_not_written() -> None:
    with pytest.raises(UnwritableEvent):
        encode(replace(outcome("d1"), stages=(replace(STAGES[0], signals={"token_logprob": float("-inf")}),)))


@given(st.lists(st.floats(0.001, 1.0, allow_nan=False), min_size=1, max_size=64))
def test_probabilities_keep_every_bit(weights: list[float]) -> None:
    there = decision("d1", arm="0", arms=tuple(str(k) for k in range(len(weights))))
    probs = np.array(weights) / sum(weights)
    there = type(there)(**{**{n: getattr(there, n) for n in there.__dataclass_fields__}, "probs": probs})
    back = decode(encode(there))
    assert isinstance(back, Decision)
    assert back.probs.tolist() == probs.tolist()


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc1", msgpack.packb(1), msgpack.packb([]), msgpack.packb([1, "x"]), msgpack.packb([2, "f"]),
     msgpack.packb([1, "f", "too", "short"]), msgpack.packb([1, "d", *range(13)]), encode(thumb("d", 1.0))[:-3]],
)  # fmt: skip
def test_unreadable_bytes_are_a_bad_event(data: bytes) -> None:
    with pytest.raises(BadEvent):
        decode(data)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_bad_event(data: bytes) -> None:
    with contextlib.suppress(BadEvent):
        decode(data)


def test_a_decision_with_64_features_and_8_arms_stays_under_700_bytes() -> None:
    arms = tuple(f"some-model-{k}" for k in range(8))
    there = decision("hw-" + "x" * 28, arm=arms[0], arms=arms)
    wide = type(there.context)(np.zeros(64), "static-240-90e540b3/pca-32-67894b25/n1", 10)
    there = type(there)(**{**{n: getattr(there, n) for n in there.__dataclass_fields__}, "context": wide})
    assert len(encode(there)) < 700


@pytest.mark.parametrize("event", [decision("d1"), outcome("d1"), thumb("d1", 1.0)], ids=["d", "o", "f"])
@pytest.mark.parametrize("schema", [SCHEMA - 1, SCHEMA + 1, str(SCHEMA)])
def test_an_event_of_another_schema_is_refused_though_its_fields_could_be_read(event: Event, schema: object) -> None:
    _, *rest = msgpack.unpackb(encode(event))
    with pytest.raises(BadEvent, match=rf"event has schema {schema}, this version reads {SCHEMA}"):
        decode(msgpack.packb([schema, *rest]))
