"""What a statement weighs by who sends it, and that changing one's mind costs nothing."""

from dataclasses import replace

import pytest

from highwayman.env.metric import MetricKind
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.types import Feedback
from highwayman.feedback.intake import influence_weights as influence_weights_module
from highwayman.feedback.intake.influence_weights import InfluenceWeights
from highwayman.feedback.trust.influence_caps import InfluenceCaps, InfluenceLimiter
from highwayman.feedback.trust.principal import Principal
from tests.feedback.intake.tenants import NOW, OURS
from tests.feedback.worlds import thumb

THUMBS = DEFAULT_SPEC.metric("thumbs")
WE = Principal(OURS, key_id="k")


def weights(grace: float = 2.0) -> InfluenceWeights:
    """Of people who may weigh so much as long as nobody else says anything."""
    return InfluenceWeights(InfluenceLimiter(InfluenceCaps(person_share=0.5, grace=grace)))


def said(value: float | None = 1.0, *, user: str = "ann", **more: object) -> Feedback:
    return replace(thumb("", value, user=user), at=NOW, **{"key": "k", **more})  # type: ignore[arg-type]


def weighed(made: InfluenceWeights, statement: Feedback, about: str, principal: Principal = WE) -> float:
    return made.apply(statement, THUMBS, principal, [about]).weight


def test_who_has_no_room_left_weighs_nothing_and_a_change_of_mind_what_it_weighed_before() -> None:
    made = weights()
    assert [weighed(made, said(), about) for about in ("d", "e", "f")] == [1.0, 1.0, 0.0]
    assert [weighed(made, said(0.0), about) for about in ("d", "f", "d")] == [1.0, 0.0, 1.0]
    assert weighed(made, said(user="bob"), "d") == 1.0  # another one's is no change of mind
    assert weighed(made, said(metric="rating"), "d") < 1.0  # nor is another thing that one says


def test_a_statement_that_weighs_less_by_itself_is_multiplied() -> None:
    made = weights(grace=1.5)
    assert weighed(made, said(weight=0.25), "d") == 0.25
    assert weighed(made, said(weight=0.25), "e") == pytest.approx(0.5 * 0.25)


def test_what_moves_no_reward_takes_no_room() -> None:
    made = weights(grace=1.0)
    words = next(metric for metric in DEFAULT_SPEC.metrics.values() if metric.kind is MetricKind.COMMENT)
    for statement, metric in ((said(None), THUMBS), (said(None, text="well"), words)):
        assert made.apply(statement, metric, WE, ["d"]) == statement
    assert weighed(made, said(), "d") == 1.0


def test_a_keys_own_share_is_its_principals() -> None:
    made = InfluenceWeights(InfluenceLimiter(InfluenceCaps(key_share=None, person_share=None, grace=1.0)))
    capped = replace(WE, influence=0.5)
    assert [weighed(made, said(), about, capped) for about in ("d", "e")] == [1.0, 0.0]
    assert weighed(made, said(), "f") == 1.0


def test_so_many_statements_are_remembered_and_the_one_that_nobody_touched_longest_is_forgotten_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(influence_weights_module, "_REMEMBERED", 2)
    made = weights(grace=3.0)
    assert [weighed(made, said(), about) for about in ("d", "e", "d", "f")] == [1.0] * 4
    assert [weighed(made, said(), about) for about in ("d", "f")] == [1.0, 1.0]
    assert weighed(made, said(), "e") == 0.0  # weighed again, by which time there is no room
