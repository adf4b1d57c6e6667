"""Which decisions a submission means: by their own ids, and by ids that clients gave them."""

from dataclasses import replace

import pytest

from highwayman.env.errors import InvalidFeedback, UnknownDecision
from highwayman.env.metric import Metric
from highwayman.env.types import Decision
from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.feedback.intake.submission import FeedbackTarget
from highwayman.feedback.intake.targets import UNNAMED, ResolvedTarget, TargetResolver
from tests.feedback.intake.tenants import NOW, OTHERS, OURS, Clock, Links, decided, decision_ids

THUMBS = Metric("thumbs")
WINDOW_S = 60.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ids(clock: Clock) -> DecisionIds:
    return decision_ids(clock)


def resolver(ids: DecisionIds, clock: Clock, *decisions: Decision) -> TargetResolver:
    return TargetResolver(ids, Links(decisions), clock, WINDOW_S)


@pytest.mark.parametrize(
    "target",
    [
        lambda name: FeedbackTarget(decision_id=name),
        lambda name: FeedbackTarget(decision_id=f"chatcmpl-{name}"),
        lambda name: FeedbackTarget(request_id=name),
        lambda name: FeedbackTarget(request_id=f"cmpl-{name}"),
    ],
    ids=["decision", "answer", "decision as request", "answer as request"],
)
async def test_a_decisions_own_id_names_it_directly_wherever_it_stands(
    target: object, ids: DecisionIds, clock: Clock
) -> None:
    name = ids.issue(OURS)
    resolved = await resolver(ids, clock).resolve(target(name), THUMBS, OURS)  # type: ignore[operator]
    assert resolved == ResolvedTarget((name,), direct=True)


async def test_a_decision_id_of_another_tenant_is_not_known(ids: DecisionIds, clock: Clock) -> None:
    with pytest.raises(UnknownDecision, match="No decision with this id was made here"):
        await resolver(ids, clock).resolve(FeedbackTarget(decision_id=ids.issue(OTHERS)), THUMBS, OURS)


async def test_a_request_id_means_the_decision_that_was_made_under_it(ids: DecisionIds, clock: Clock) -> None:
    made = decided(ids, ids.link("request", "r-1", OURS))
    resolved = await resolver(ids, clock, made).resolve(FeedbackTarget(request_id="r-1"), THUMBS, OURS)
    assert resolved == ResolvedTarget((made.id,))


async def test_a_conversations_decisions_are_meant_as_far_as_they_still_take_feedback(
    ids: DecisionIds, clock: Clock
) -> None:
    link = ids.link("conversation", "c", OURS)
    too_old = decided(ids, link)
    clock.now += WINDOW_S + 1
    turns = [decided(ids, link) for _ in range(2)]
    resolved = await resolver(ids, clock, too_old, *turns).resolve(FeedbackTarget(conversation_id="c"), THUMBS, OURS)
    assert resolved == ResolvedTarget(tuple(turn.id for turn in turns))


async def test_a_request_id_names_no_conversation(ids: DecisionIds, clock: Clock) -> None:
    made = decided(ids, ids.link("conversation", "same", OURS))
    resolved = await resolver(ids, clock, made).resolve(FeedbackTarget(request_id="same"), THUMBS, OURS)
    assert resolved.decision_ids == ()


async def test_a_message_without_a_decision_means_the_answers_of_its_chat_that_have_no_name(
    ids: DecisionIds, clock: Clock
) -> None:
    chat, unnamed = ids.link("conversation", "c", OURS), ids.link(UNNAMED, "c", OURS)
    named = decided(ids, ids.link("request", "m-1", OURS), chat)
    others = [decided(ids, chat, unnamed) for _ in range(2)]
    resolve = resolver(ids, clock, named, *others).resolve
    assert await resolve(FeedbackTarget(request_id="m-2"), THUMBS, OURS, within="c") == ResolvedTarget(
        tuple(other.id for other in others)
    )
    assert (await resolve(FeedbackTarget(request_id="m-1"), THUMBS, OURS, within="c")).decision_ids == (named.id,)
    for within in ("", "d"):
        assert (await resolve(FeedbackTarget(request_id="m-2"), THUMBS, OURS, within=within)).decision_ids == ()


async def test_a_message_of_a_chat_that_is_unknown_so_far_is_looked_out_for_by_itself_and_then_in_the_chat(
    ids: DecisionIds, clock: Clock
) -> None:
    names = (ids.link("request", "m", OURS), ids.link(UNNAMED, "c", OURS))
    target = FeedbackTarget(request_id="m")
    assert (await resolver(ids, clock).resolve(target, THUMBS, OURS, within="c")).names == names
    assert resolver(ids, clock).names(target, OURS, within="c") == names


async def test_another_tenants_decision_under_the_same_name_is_not_meant(ids: DecisionIds, clock: Clock) -> None:
    theirs = decided(ids, ids.link("request", "r-1", OTHERS), tenant=OTHERS)
    resolved = await resolver(ids, clock, theirs).resolve(FeedbackTarget(request_id="r-1"), THUMBS, OURS)
    assert resolved == ResolvedTarget(names=(ids.link("request", "r-1", OURS),))


async def test_a_name_unknown_so_far_is_looked_out_for_under_every_secret(clock: Clock) -> None:
    ids = decision_ids(clock, secrets=[b"first", b"second"])
    resolved = await resolver(ids, clock).resolve(FeedbackTarget(request_id="r-1"), THUMBS, OURS)
    assert resolved == ResolvedTarget(names=tuple(ids.links("request", "r-1", OURS)))
    assert len(set(resolved.names)) == 2


async def test_a_decision_linked_with_an_older_secret_is_found(clock: Clock) -> None:
    before = decision_ids(clock, secrets=[b"old"])
    made = decided(before, before.link("request", "r-1", OURS))
    ids = decision_ids(clock, secrets=[b"new", b"old"])
    resolved = await resolver(ids, clock, made).resolve(FeedbackTarget(request_id="r-1"), THUMBS, OURS)
    assert resolved.decision_ids == (made.id,)


@pytest.mark.parametrize(
    ("metric_s", "age_s", "taken"),
    [
        (None, WINDOW_S, True),
        (None, WINDOW_S + 1, False),
        (10.0, 10.0, True),
        (10.0, 11.0, False),
        (2 * WINDOW_S, WINDOW_S + 1, False),
    ],
)
async def test_the_shorter_of_the_routers_and_the_metrics_window_holds(
    metric_s: float | None, age_s: float, taken: bool, ids: DecisionIds, clock: Clock
) -> None:
    target = FeedbackTarget(decision_id=ids.issue(OURS))
    clock.now = NOW + age_s
    resolving = resolver(ids, clock).resolve(target, replace(THUMBS, window_s=metric_s), OURS)
    if taken:
        assert (await resolving).decision_ids == (target.decision_id,)
    else:
        with pytest.raises(UnknownDecision, match=rf"made more than {min(WINDOW_S, metric_s or WINDOW_S):g} s ago"):
            await resolving


async def test_a_submission_must_say_which_answer(ids: DecisionIds, clock: Clock) -> None:
    with pytest.raises(InvalidFeedback, match="one of decision_id, request_id and conversation_id"):
        await resolver(ids, clock).resolve(FeedbackTarget(), THUMBS, OURS)


async def test_a_generation_is_meant_alone_however_many_answers_its_trace_has(ids: DecisionIds, clock: Clock) -> None:
    made = [
        decided(ids, ids.link("request", "trace", OURS), ids.link("request", name, OURS))
        for name in ("span-1", "span-2")
    ]
    targets = resolver(ids, clock, *made)
    one = await targets.resolve(FeedbackTarget(request_id="trace", generation_id="span-2"), THUMBS, OURS)
    both = await targets.resolve(FeedbackTarget(request_id="trace"), THUMBS, OURS)
    assert one.decision_ids == (made[1].id,)
    assert set(both.decision_ids) == {made[0].id, made[1].id}
    own = await targets.resolve(FeedbackTarget(request_id="trace", generation_id=made[0].id), THUMBS, OURS)
    assert own == ResolvedTarget((made[0].id,), direct=True)


async def test_an_unknown_generation_means_the_only_answer_of_its_trace_and_waits_where_there_are_several(
    ids: DecisionIds, clock: Clock
) -> None:
    link = ids.link("request", "trace", OURS)
    first, second = decided(ids, link), decided(ids, link)
    target = FeedbackTarget(request_id="trace", generation_id="span")
    assert (await resolver(ids, clock, first).resolve(target, THUMBS, OURS)).decision_ids == (first.id,)
    assert await resolver(ids, clock, first, second).resolve(target, THUMBS, OURS) == ResolvedTarget(
        names=tuple(ids.links("request", "span", OURS))
    )
