"""Features by what they say."""

import pytest

from highwayman.env.encoder.encoder import make_encoder
from highwayman.env.encoder.features.groups import feature_groups, kept_features
from highwayman.env.encoder.features.tags import Tag, TagColumns

COLUMNS = TagColumns((Tag("task", ("code", "chat")), Tag("app", slots=4)))
ENCODER = make_encoder("static", tags=COLUMNS)


def test_every_feature_but_the_one_is_in_a_group_by_what_it_says() -> None:
    groups = feature_groups(ENCODER.names, COLUMNS)
    assert list(groups) == ["tags", "tags.task", "tags.app", "text", "kinds", "numbers"]
    assert groups["tags"] == groups["tags.task"] + groups["tags.app"] == list(range(8))
    everything = sorted(place for name in ("tags", "text", "kinds", "numbers") for place in groups[name])
    assert everything == list(range(ENCODER.d - 1))


def test_what_is_ignored_is_0_and_all_else_1() -> None:
    kept = kept_features(["tags.app", "kinds"], ENCODER.names, COLUMNS)
    assert [ENCODER.names[place] for place in (kept == 0).nonzero()[0][:6]] == [
        "app_00", "app_01", "app_02", "app_03", "app_04", "near_00",
    ]  # fmt: skip
    assert kept.sum() == ENCODER.d - 5 - 30


def test_a_group_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match=r"no features 'tags.tsk' \(did you mean 'tags.task'"):
        kept_features(["tags.tsk"], ENCODER.names, COLUMNS)
