import numpy as np
import pytest

from highwayman.env.encoder.features.tags import (
    ENOUGH,
    NAMED_CALL,
    Tag,
    TagColumns,
    as_named,
    base_fingerprint,
    named_calls_teach,
    tag_places,
    tag_width,
    translated,
)
from highwayman.env.types import Context

BARE = Context(np.array([0.5, 0.25, 1.0]), "engine/n2", prompt_tokens=3, flags=frozenset({"flag"}))
TASK, APP = Tag("task", ("maths", "code")), Tag("app", slots=2)


def test_every_level_has_a_column_before_the_encoders_own_and_a_tag_that_is_not_sent_has_none() -> None:
    columns = TagColumns((TASK, APP))
    told = columns.apply(BARE, [("task", 1), ("app", APP.rest)])
    assert told.features.tolist() == [0, 1, 0, 0, 0, 1, 0.5, 0.25, 1.0]
    assert columns.apply(BARE, []).features.tolist() == [0] * 6 + [0.5, 0.25, 1.0]
    assert (told.flags, told.prompt_tokens) == (BARE.flags, 3)
    assert columns.names == ("task_00", "task_01", "task_02", "app_00", "app_01", "app_02")


def test_the_fingerprint_says_how_many_columns_there_are_and_what_they_mean() -> None:
    fingerprint = TagColumns((TASK, APP)).fingerprint("engine/n2")
    assert tag_width(fingerprint) == 6
    assert base_fingerprint(fingerprint) == "engine/n2"
    assert TagColumns((Tag("task", ("code", "maths")), APP)).fingerprint("engine/n2") != fingerprint
    assert TagColumns().fingerprint("engine/n2") == "engine/n2"
    assert tag_width("engine/n2") == 0


def test_the_columns_of_a_context_tell_its_tags() -> None:
    assert tag_places(TagColumns((TASK, APP)).apply(BARE, [("app", 2)])) == {"app": 2}
    assert tag_places(BARE) == {}


def test_a_named_call_is_told_apart_where_there_is_a_column_for_it() -> None:
    told = TagColumns((TASK, Tag(NAMED_CALL, ("yes",)))).apply(BARE, [("task", 1)])
    assert tag_places(as_named(told)) == {"task": 1, NAMED_CALL: 0}
    assert tag_places(told) == {"task": 1}
    assert as_named(BARE) is BARE


def test_without_tags_a_context_stays_what_it_was() -> None:
    assert TagColumns().apply(BARE, [("task", 1)]) is BARE


def test_levels_that_are_rare_or_more_than_there_are_slots_share_the_last_column() -> None:
    levels = ["often"] * ENOUGH + ["seldom"] + ["later"] * ENOUGH + ["too late"] * ENOUGH
    places = APP.places(levels)
    assert sorted(set(zip(levels, places, strict=True))) == [("later", 1), ("often", 0), ("seldom", 2), ("too late", 2)]
    assert TASK.places(["code", "poems"]) == [1, TASK.rest]


def test_features_of_before_a_tag_was_declared_are_read_with_the_tag_unknown() -> None:
    both, task = TagColumns((APP, TASK)), TagColumns((TASK,))
    old = task.apply(BARE, [("task", 1)])
    new = translated(old, both.fingerprint("engine/n2"))
    assert new is not None
    assert new.features.tolist() == [0, 0, 0, 0, 1, 0, 0.5, 0.25, 1.0]
    assert new.fingerprint == both.fingerprint("engine/n2")
    back = translated(new, "engine/n2")
    assert back is not None
    assert back.features.tolist() == BARE.features.tolist()


def test_levels_that_were_declared_otherwise_are_unknown_and_another_encoders_features_do_not_mix() -> None:
    other = TagColumns((Tag("task", ("code", "maths")),)).fingerprint("engine/n2")
    moved = translated(TagColumns((TASK,)).apply(BARE, [("task", 1)]), other)
    assert moved is not None
    assert moved.features.tolist() == [0, 0, 0, 0.5, 0.25, 1.0]
    assert translated(BARE, TagColumns((TASK,)).fingerprint("engine/n3")) is None


def test_named_calls_teach_where_a_column_tells_them_apart() -> None:
    assert named_calls_teach(TagColumns((TASK, Tag(NAMED_CALL, ("yes",)))).fingerprint("engine/n2"))
    assert not named_calls_teach(TagColumns((TASK,)).fingerprint("engine/n2"))


@pytest.mark.parametrize("name", ["Task", "a.b", "a+b", "a/b", ""])
def test_a_name_that_a_fingerprint_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="small letters"):
        Tag(name)


def test_a_tag_twice_or_a_level_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="different names"):
        TagColumns((Tag("task"), Tag("task")))
    with pytest.raises(ValueError, match="different levels"):
        Tag("task", ("a", "a"))
