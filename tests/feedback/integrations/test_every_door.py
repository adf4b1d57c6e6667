"""What holds for every door that is shipped, found by itself."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.env.errors import InvalidFeedback, Unauthorized
from highwayman.feedback.integrations.adapter import FeedbackAdapter, ParsedFeedback, SignatureVerified, WebhookRequest
from highwayman.feedback.integrations.loading import load_adapter, shipped_adapters
from tests.feedback.integrations.letters import NOW, PAYLOADS, SECRET, letter, made, required, sent

DOORS = shipped_adapters()
MARK = "zq7f3"
_ROUTE = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/([A-Za-z0-9_.-]+|\{[a-z]\w*\}))+")
_FIXTURES: list[Any] = [json.loads(path.read_text()) for path in sorted(PAYLOADS.glob("*.json"))]


def _paths(whole: Any, so_far: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield so_far
    found = whole.items() if isinstance(whole, dict) else enumerate(whole) if isinstance(whole, list) else ()
    for key, value in found:
        yield from _paths(value, (*so_far, key))


_KEYS = sorted({part for whole in _FIXTURES for path in _paths(whole) for part in path if isinstance(part, str)})
_marked = st.text(max_size=8).map(lambda text: MARK + text)
_leaves = (
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats(allow_nan=False, allow_infinity=False)
    | _marked | st.just("") | st.sampled_from(["1", "-1", "0", "BOOLEAN", "score-create", "message", "event_callback"])
)  # fmt: skip
_json = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_KEYS) | _marked, inner, max_size=6),
    max_leaves=25,
)


@st.composite
def _bent(draw: st.DrawFn) -> Any:
    """A payload that a sender really sends, with something else in one or two of its places."""
    whole = copy.deepcopy(draw(st.sampled_from(_FIXTURES)))
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(list(_paths(whole))))
        if not path:
            return draw(_json)
        place = whole
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = draw(_json)
    return whole


def _letters(door: FeedbackAdapter, body: Any) -> Iterator[WebhookRequest]:
    for route in door.routes:
        parts = dict.fromkeys(re.findall(r"\{(\w+)\}", route), f"{MARK}-part")
        yield sent(
            door, WebhookRequest(route.partition(" ")[0], route, path_params=parts, body=body, raw=b"{}", at=NOW)
        )


def _heard(door: FeedbackAdapter, one: WebhookRequest) -> ParsedFeedback | None:
    try:
        return door.parse(one)
    except InvalidFeedback as error:
        told = str(error)
    assert told
    assert MARK not in told
    return None


def _check(door: FeedbackAdapter, heard: ParsedFeedback) -> None:
    json.dumps(heard.response)
    assert 200 <= heard.status < 300
    assert all(isinstance(name, str) and name for name in heard.retractions)
    for said in heard.submissions:
        about = said.target
        assert sum(map(bool, (about.decision_id, about.request_id, about.conversation_id))) == 1
        assert said.source == door.source
        assert said.metric
        assert said.value is None or isinstance(said.value, bool | float | str)
        for text in (said.user, said.comment, said.external_id, said.idempotency_key):
            assert text is None or (isinstance(text, str) and text)


def test_the_doors_that_are_asked_for_are_shipped() -> None:
    assert set(DOORS) >= {"Langfuse", "OpenWebUI", "TensorZero", "OpenAIMetadata", "Slack", "Dify"}


def test_no_two_doors_have_the_same_route_or_source() -> None:
    doors = [made(kind) for kind in DOORS.values()]
    shapes = [re.sub(r"\{\w+\}", "{}", route) for door in doors for route in door.routes]
    assert len(shapes) == len(set(shapes))
    assert len({door.source for door in doors}) == len(doors)


@pytest.mark.parametrize("name", DOORS)
def test_a_door_is_loaded_by_its_name_without_options_but_for_a_secret(name: str) -> None:
    wanted = required(DOORS[name])
    assert wanted in ([], ["signing_secret"])
    door = load_adapter(name, dict.fromkeys(wanted, SECRET))
    assert isinstance(door, FeedbackAdapter)
    assert isinstance(door, SignatureVerified) == bool(wanted)


@pytest.mark.parametrize("name", DOORS)
def test_routes_are_well_formed(name: str) -> None:
    door = made(DOORS[name])
    assert isinstance(door.routes, tuple)
    assert door.source
    assert door.routes
    assert all(_ROUTE.fullmatch(route) for route in door.routes)
    assert len(set(door.routes)) == len(door.routes)


@pytest.mark.parametrize("name", DOORS)
@pytest.mark.parametrize("body", [None, True, 5, -0.5, 10**400, "x", "", [], [[]], [5], [None], {}, {"": {}}], ids=repr)
def test_junk_is_refused_or_answered(name: str, body: Any) -> None:
    door = made(DOORS[name])
    for one in _letters(door, body):
        heard = _heard(door, one)
        if heard is not None:
            _check(door, heard)


@pytest.mark.parametrize("name", DOORS)
def test_what_is_nested_beyond_all_measure_is_refused_or_answered(name: str) -> None:
    door = made(DOORS[name])
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    keys = ("data", "meta", "event", "metadata", "value", "tags", "body", "user", "rating", "type", "item", "name")
    for body in (deep, *({key: deep} for key in keys), {"batch": [deep]}, dict.fromkeys(keys, deep),
                 {"inference_id": "i", "metric_name": "demonstration", "value": deep}):  # fmt: skip
        for one in _letters(door, body):
            _heard(door, one)


@pytest.mark.parametrize("name", DOORS)
@given(body=_json)
@settings(deadline=None)
def test_any_json_is_refused_without_a_word_of_it_or_answered(name: str, body: Any) -> None:
    door = made(DOORS[name])
    for one in _letters(door, body):
        heard = _heard(door, one)
        if heard is not None:
            _check(door, heard)


@pytest.mark.parametrize("name", DOORS)
@given(body=_bent())
@settings(deadline=None)
def test_a_bent_payload_is_refused_without_a_word_of_it_or_answered(name: str, body: Any) -> None:
    door = made(DOORS[name])
    for one in _letters(door, body):
        heard = _heard(door, one)
        if heard is not None:
            _check(door, heard)


@pytest.mark.parametrize("name", [name for name, kind in DOORS.items() if isinstance(made(kind), SignatureVerified)])
def test_a_door_that_checks_its_sender_refuses_what_is_not_signed(name: str) -> None:
    door = made(DOORS[name])
    for route in door.routes:
        with pytest.raises(Unauthorized):
            door.parse(letter(route, {}))
