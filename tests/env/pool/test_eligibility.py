from dataclasses import replace
from typing import Any

import pytest

from highwayman.env.errors import ConfigError, NoEligibleArm, UnknownArm
from highwayman.env.pool.eligibility import Pool
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.types import Arm, ArmState, Profile, Query


def arm(name: str = "a", **changed: Any) -> Arm:
    options = {
        "endpoints": (f"http://{name}:1",),
        "model": "m",
        "usd_per_mtok_in": 1.0,
        "usd_per_mtok_out": 1.0,
        "context_window_tokens": 1000,
    }
    return Arm(name, **{**options, **changed})


def query(**changed: Any) -> Query:
    return Query(**{"text": "hi", "prompt_chars": 2, **changed})


def pool(*arms: Arm) -> Pool:
    return Pool(arms, EndpointHealth(lambda: 0.0))


def refusal(candidate: Arm, asked: Query, prompt_tokens: int = 10) -> str | None:
    return pool(candidate).refusal(candidate, asked, prompt_tokens)


def test_an_arm_that_can_do_all_that_is_asked_is_not_refused() -> None:
    able = arm(modalities=frozenset({"text", "image"}), tools=True)
    assert refusal(able, query(images=2, tools=3, json_mode=True, max_tokens=500)) is None


@pytest.mark.parametrize(
    ("state", "why"), [(ArmState.ACTIVE, None), (ArmState.PROBATION, None), (ArmState.DRAINING, "is draining")]
)
def test_only_a_draining_arm_gets_no_more_traffic(state: ArmState, why: str | None) -> None:
    assert refusal(arm(state=state), query()) == why


@pytest.mark.parametrize(
    ("prompt_tokens", "asked", "ceiling", "needed"),
    [
        (984, None, None, None),  # 984 and 16 fit exactly
        (985, None, None, 1001),
        (500, 500, None, None),
        (500, 501, None, 1001),
        (500, 9000, 500, None),  # the profile cuts the answer short
        (500, 9000, 501, 1001),
        (999, 1, 501, None),  # and so does the caller
    ],
)
def test_prompt_and_answer_must_fit_the_window(
    prompt_tokens: int, asked: int | None, ceiling: int | None, needed: int | None
) -> None:
    why = refusal(arm(profile=Profile(max_tokens=ceiling)), query(max_tokens=asked), prompt_tokens)
    assert why == (needed and f"has a window of 1000 tokens, about {needed} are needed")


def test_images_need_an_arm_that_reads_them() -> None:
    assert refusal(arm(), query(images=1)) == "does not read images"
    assert refusal(arm(modalities=frozenset({"text", "image"})), query(images=1)) is None


@pytest.mark.parametrize(
    ("needed", "read", "why"),
    [
        ({"audio"}, {"text"}, "does not read audio"),
        ({"audio"}, {"text", "audio"}, None),
        ({"video"}, {"text", "image"}, "does not read video"),
        ({"file"}, {"text"}, "does not read files"),
        ({"image", "audio"}, {"text", "image"}, "does not read audio"),
        ({"image", "audio"}, {"text"}, "does not read audio or images"),
        (set(), {"text"}, None),
    ],
)
def test_whatever_a_conversation_holds_needs_an_arm_that_reads_it(
    needed: set[str], read: set[str], why: str | None
) -> None:
    assert refusal(arm(modalities=frozenset(read)), query(modalities=frozenset(needed))) == why


def test_tools_need_an_arm_that_calls_them() -> None:
    assert refusal(arm(), query(tools=1)) == "does not call tools"
    assert refusal(arm(tools=True), query(tools=1)) is None


@pytest.mark.parametrize(
    ("profile", "fits"),
    [
        (Profile(), True),
        (Profile(temperature=0.5, max_tokens=5), True),
        (Profile(system="Be brief."), False),
        (Profile(few_shot=(("q", "a"),)), False),
    ],
)
def test_token_ids_allow_no_text_before_them(profile: Profile, fits: bool) -> None:
    why = refusal(arm(profile=profile), query(plain_text=False))
    assert why == (None if fits else "puts text before the prompt, which token ids do not allow")
    assert refusal(arm(profile=profile), query(plain_text=True)) is None


def test_the_first_rule_that_objects_names_the_reason() -> None:
    assert refusal(arm(state=ArmState.DRAINING), query(images=1, tools=1), 5000) == "is draining"


def test_the_eligible_arms_come_in_the_pools_order() -> None:
    able = pool(arm("c"), arm("a"), arm("b", context_window_tokens=5), arm("d"))
    assert [each.name for each in able.eligible(query(), 10)] == ["c", "a", "d"]


def test_an_arm_whose_own_tokenizer_makes_too_many_tokens_is_left_out() -> None:
    two = pool(arm("a"), arm("b"))
    assert [each.name for each in two.eligible(query(), lambda arm: 985 if arm.name == "a" else 984)] == ["b"]


def test_when_nobody_may_answer_each_arms_reason_is_told() -> None:
    unable = pool(arm("a"), arm("b", context_window_tokens=5))
    with pytest.raises(NoEligibleArm) as caught:
        unable.eligible(query(images=1), 10)
    assert str(caught.value) == (
        "No arm may answer: a does not read images; b has a window of 5 tokens, about 26 are needed"
    )


def test_an_arm_whose_endpoints_all_rest_is_left_out_until_they_are_up_again() -> None:
    two = pool(arm("a", endpoints=("http://a:1", "http://a:2")), arm("b"))
    two.health.on_failure("http://a:1")
    assert [each.name for each in two.eligible(query(), 10)] == ["a", "b"]
    two.health.on_failure("http://a:2")
    assert [each.name for each in two.eligible(query(), 10)] == ["b"]
    two.health.on_success("http://a:2")
    assert [each.name for each in two.eligible(query(), 10)] == ["a", "b"]


def test_when_all_that_could_answer_rest_they_are_tried_rather_than_nobody() -> None:
    three = pool(arm("a"), arm("b"), arm("blind", context_window_tokens=5))
    three.health.on_failure("http://a:1")
    three.health.on_failure("http://b:1")
    assert [each.name for each in three.eligible(query(), 10)] == ["a", "b"]


def test_arms_that_share_a_server_and_a_model_ask_once_whether_it_is_well() -> None:
    health, asked = EndpointHealth(lambda: 0.0), []
    shared = [arm(name, endpoints=("http://one:1",), model="m" if name < "d" else "n") for name in "abcd"]
    candidates = Pool([*shared, arm("e")], health)
    health.on_failure("http://one:1", model="m")
    may_ask = health.may_ask
    health.may_ask = lambda *server: asked.append(server) or may_ask(*server)  # type: ignore[method-assign,func-returns-value]
    assert [a.name for a in candidates.eligible(query(), 10)] == ["d", "e"]
    assert sorted(asked) == [("http://one:1", "m"), ("http://one:1", "n")]


def test_an_arm_is_found_by_name_and_a_stranger_is_told_who_is_known() -> None:
    two = pool(arm("a"), arm("b"))
    assert two.arm("b").name == "b"
    with pytest.raises(UnknownArm, match=r"'gpt-4' does not exist. Known arms: a, b\."):
        two.arm("gpt-4")


def test_a_pool_without_arms_or_with_a_name_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="no arm"):
        pool()
    with pytest.raises(ConfigError, match="share a name"):
        pool(arm("a"), arm("b"), arm("a"))


def test_a_window_that_its_server_says_is_smaller_is_believed_and_never_a_larger_one() -> None:
    small, large = arm(), replace(arm(), name="large")
    two = pool(small, large)
    two.on_window_too_small(small, 512)
    two.on_window_too_small(small, 900)
    two.on_window_too_small(small, 0)
    assert two.refusal(small, query(), 600) == "has a window of 512 tokens, about 616 are needed"
    assert [able.name for able in two.eligible(query(), 600)] == ["large"]
    assert two.refusal(small, query(), 400) is None


def test_an_arm_whose_model_no_replica_serves_is_unwell_and_says_so() -> None:
    two, servers = pool(arm("a", endpoints=("http://x:1", "http://y:1"), model="adapter"), arm("b")), ("x", "y")
    for server in servers:
        assert two.unwell(two.arm("a")) is None
        two.loads.on_models(f"http://{server}:1", ["base"])
    assert two.unwell(two.arm("a")) == "no replica serves the model 'adapter'"
    assert [each.name for each in two.eligible(query(), 10)] == ["b"]
    two.loads.on_models("http://x:1", ["base", "adapter"])
    assert [each.name for each in two.eligible(query(), 10)] == ["a", "b"]
    two.health.on_failure("http://x:1")  # the only one that serves it
    assert two.unwell(two.arm("a")) == "all replicas rest after failures"


def test_a_limit_that_is_only_a_ceiling_needs_room_for_an_answer_and_no_more() -> None:
    agent = query(max_tokens=32_000, limit_is_ceiling=True)
    assert refusal(arm(context_window_tokens=2000), query(max_tokens=32_000), 900) is not None
    assert refusal(arm(context_window_tokens=2000), agent, 900) is None
    assert "1924 are needed" in str(refusal(arm(context_window_tokens=1900), agent, 900))
    assert refusal(arm(context_window_tokens=1000), query(max_tokens=50, limit_is_ceiling=True), 940) is None
