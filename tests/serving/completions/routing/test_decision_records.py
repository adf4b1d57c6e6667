"""What a decision says of the draw and of the person who asks."""

import pytest

from highwayman.env.types import Mode
from highwayman.serving.completions.routing.decision_records import RequestOrigin
from tests.serving.completions.routing.routers import FLOOR, NOW, QUERY, Routers, taught, two

ANN = RequestOrigin("default", "ann", ("link",))


async def test_what_was_drawn_from_is_on_the_decision_floor_and_all(routers: Routers) -> None:
    router = routers(two())
    await taught(router, {"small": 1.0, "large": 0.0})
    decision = (await router.route("auto", QUERY)).decision
    assert decision.probs.sum() == pytest.approx(1.0)
    assert decision.probs == pytest.approx([1 - FLOOR / 2, FLOOR / 2])
    assert decision.propensity == decision.probs[decision.action]
    assert (decision.policy, decision.policy_version, decision.mode) == ("test:Policy", 0, Mode.ROUTE)
    assert decision.at == NOW
    routers.ids.verify(decision.id)


@pytest.mark.parametrize("model", ["auto", "large"])
async def test_a_person_becomes_a_pseudonym_and_a_prompt_is_kept_only_where_that_is_wanted(
    model: str, routers: Routers
) -> None:
    decision = (await routers(two()).route(model, QUERY, origin=ANN)).decision
    assert (decision.user, decision.links, decision.prompt) == (routers.ids.pseudonym("ann"), ("link",), None)
    assert "ann" not in decision.user
    kept = (await routers(two(), keep_prompts=True).route(model, QUERY)).decision
    assert (kept.user, kept.links, kept.prompt) == ("", (), QUERY.text)
