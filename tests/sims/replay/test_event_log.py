import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.draw import mix
from highwayman.bandit.exploration_cap import ExplorationCap
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.probation import ProbationQuota
from highwayman.env.cost.objective import Objective
from highwayman.env.cost.penalties import arm_penalties, estimate_usage
from highwayman.env.cost.usage import TokenUse
from highwayman.env.encoder.features.tags import Tag, TagColumns
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.types import NO_EXPLORATION, Arm, ArmState, Control, ControlKind, Mode, Status
from highwayman.feedback.archive.archive import Archive
from highwayman.feedback.archive.export import export
from highwayman.feedback.fold.learner import Learner
from highwayman.feedback.fold.log_fold import Page
from highwayman.feedback.learning.publications import Published
from highwayman.feedback.log.events import Event, encode
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import GRACE_S
from highwayman.serving.config.config import load_config
from highwayman.serving.state.learner_factory import LearnerFactory, warm_encoder
from highwayman.sims.logs.judged import LogWithTargets
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.ope.intervals.normal import Normal
from highwayman.sims.replay.comparison import logged_policy_value
from highwayman.sims.replay.event_log import Pages, Replay, summarise_log
from highwayman.sims.replay.rounds import Counterfactual
from tests.feedback.worlds import FINGERPRINT, context, decision, make_learner, outcome, thumb
from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

DEAR = Objective("auto", 200_000.0)
SAME = Counterfactual(ExplorationRules(floor=0.02))
POOL = tuple(Arm(name, (), name, price, price, 4096) for name, price in (("a", 1.0), ("b", 10.0)))


def pages(*events: Event, size: int = 2) -> Pages:
    rows = [(f"{number}-0", encode(event), False) for number, event in enumerate(events, start=1)]

    def read() -> Iterator[Page]:
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    return read


def replayed(*events: Event, what_if: Counterfactual = SAME) -> tuple[Replay, LoggedData, np.ndarray]:
    replay = Replay(make_learner, what_if, kept_s=1e6)
    (chunk,) = replay.chunks(pages(*events))
    return replay, chunk.log, chunk.target


def test_a_round_has_what_was_drawn_and_what_was_said_of_it_in_the_end() -> None:
    log = [decision("d", arm="b"), thumb("d", 1.0), outcome("d", arm="b"), decision("e"), thumb("d", 0.0)]
    _, rounds, _ = replayed(*log)
    rounds.check()
    assert rounds.arms == ("a", "b")
    assert rounds.actions.tolist() == [1, 0]
    assert rounds.propensities.tolist() == [0.5, 0.5]
    assert rounds.rewards.tolist() == pytest.approx([0.0, np.nan], nan_ok=True)
    assert rounds.costs_usd.tolist() == pytest.approx([0.002, np.nan], nan_ok=True)
    assert rounds.penalties.tolist() == [[0.0, 0.15]] * 2
    assert rounds.utilities()[0] == pytest.approx(-0.15)


def test_the_policy_is_asked_knowing_what_came_before_and_nothing_after() -> None:
    _, rounds, target = replayed(decision("d"), thumb("d", 1.0), decision("e"))
    learner, before = make_learner(), decision("d")
    at_first = mix(learner.policy.probs(before.context, ("a", "b"), before.penalties), floor=0.02)
    assert target[0].tolist() == at_first.tolist()
    assert target[1, 0] > target[0, 0]
    assert rounds.rewards[0] == 1.0


def test_what_was_not_drawn_is_left_out_and_counted() -> None:
    log = [
        decision("forced", mode=Mode.FORCED),
        decision("other", at=context(fingerprint="another")),
        decision("failed over"),
        outcome("failed over", arm="b"),
        decision("erased"),
        Control(1.0, ControlKind.ERASURE, {"decision": "erased"}),
        decision("kept"),
    ]
    replay, rounds, _ = replayed(*log)
    counts = replay.counts
    assert (counts.decisions, counts.rounds, rounds.n) == (5, 1, 1)
    assert (counts.not_routed, counts.other_encoder, counts.failed_over, counts.erased) == (1, 1, 1, 1)


def test_a_sticky_turn_is_left_out_and_what_is_said_of_its_conversation_teaches_the_drawn_turn() -> None:
    def talk(*said: Event) -> tuple[Replay, LoggedData, np.ndarray]:
        drawn, sticky = decision("drawn", arm="b"), decision("sticky", arms=("b",), arm="b", mode=Mode.STICKY)
        return replayed(drawn, outcome("drawn", arm="b"), sticky, outcome("sticky", arm="b"), *said, decision("next"))

    shared = [replace(thumb(name, 0.0), weight=0.5) for name in ("drawn", "sticky")]
    replay, rounds, target = talk(*shared)
    assert (replay.counts.rounds, replay.counts.not_routed, rounds.n) == (2, 1, 2)
    assert rounds.rewards.tolist() == pytest.approx([0.0, np.nan], nan_ok=True)
    assert rounds.propensities.tolist() == [0.5, 0.5]
    after_drawn, unsaid = talk(shared[0])[2][1, 1], talk()[2][1, 1]
    assert target[1, 1] < after_drawn < unsaid


def test_without_an_arm_the_others_get_its_share() -> None:
    replay, _, target = replayed(decision("d"), what_if=replace(SAME, without=frozenset({"a"})))
    assert target.tolist() == [[0.0, 1.0]]
    assert replay.counts.unanswerable == 0
    none_left = Replay(make_learner, replace(SAME, without=frozenset({"a", "b"})), kept_s=1e6)
    assert list(none_left.chunks(pages(decision("d")))) == []
    assert none_left.counts.unanswerable == 1


def test_another_objective_prices_the_arms_as_the_router_would() -> None:
    _, rounds, target = replayed(decision("d"), what_if=Counterfactual(ExplorationRules(0.02), DEAR, pool=POOL))
    estimates = estimate_usage(POOL, lambda name: TokenUse(), prompt_tokens=context().prompt_tokens)
    assert rounds.penalties[0].tolist() == arm_penalties(("a", "b"), estimates, DEAR).tolist()
    assert rounds.penalties[0, 1] > 3.0
    assert target[0, 0] == pytest.approx(0.99)
    with pytest.raises(ValueError, match="prices"):
        Counterfactual(ExplorationRules(0.02), DEAR)


def test_where_nothing_was_to_be_tried_out_the_other_policy_tries_nothing_out_either() -> None:
    settled = replace(decision("d"), context=replace(context(), flags=frozenset({NO_EXPLORATION})))
    _, _, target = replayed(settled, decision("e"))
    assert sorted(target[0].tolist()) == [0.0, 1.0]
    assert (target[1] > 0).all()


def test_quota_and_cap_are_those_of_the_router_in_question() -> None:
    on_probation = (POOL[0], replace(POOL[1], state=ArmState.PROBATION))
    quota = ExplorationRules(0.0, ProbationQuota(share=0.7))
    _, _, target = replayed(decision("d"), what_if=Counterfactual(quota, DEAR, pool=on_probation))
    assert target[0].tolist() == pytest.approx([0.3, 0.7])
    capped = Counterfactual(ExplorationRules(0.2, cap=ExplorationCap(usd_per_day=0.0)), pool=POOL)
    _, _, target = replayed(decision("d"), what_if=capped)
    assert target[0].tolist() == [1.0, 0.0], "the other arm costs more, and that is not paid for"
    with pytest.raises(ValueError, match="a cap on exploration in dollars needs the pool's prices"):
        replace(capped, pool=())


def test_a_rollback_takes_rewards_back() -> None:
    log = [decision("d"), thumb("d", 1.0), Control(1.0, ControlKind.ROLLBACK, {"position": "1-0"}), decision("e")]
    replay, rounds, target = replayed(*log)
    assert np.isnan(rounds.rewards).all()
    assert target[0].tolist() == target[1].tolist()
    assert replay.learner.snapshot().rollbacks != ()


def test_rounds_of_one_person_share_a_session() -> None:
    log = [replace(decision(name), user=user) for name, user in (("d", "p"), ("e", "q"), ("f", "p"), ("g", ""))]
    _, rounds, _ = replayed(*log)
    first, second, third, fourth = rounds.sessions.tolist()
    assert first == third
    assert len({first, second, fourth}) == 3


def test_another_policy_can_be_asked() -> None:
    def careful() -> Learner:
        policy = LinTS(d=3, fingerprint=FINGERPRINT, exploration=0.01)
        return Learner(policy, DEFAULT_SPEC, fingerprint=FINGERPRINT, arms=("a", "b"))

    (chunk,) = Replay(careful, SAME, kept_s=1e6).chunks(pages(decision("d")))
    assert chunk.target[0, 0] == pytest.approx(0.99)


@pytest.fixture
async def router(valkey_url: str, namespace: str) -> AsyncIterator[Router]:
    async with ScriptedUpstream() as upstream:
        upstream.script(ANY, *[Say("Paris.", tokens_in=9, tokens_out=2)] * 40)
        arms = [arm("small", upstream.url, price=0.1), arm("large", upstream.url, price=1.0)]
        async with running_router(arms, valkey_url, namespace) as started:
            yield started


async def live(router: Router) -> None:
    """Ask thirty questions and say what was thought of the answers, with flips and retractions."""

    async def asked(number: int) -> None:
        _, _, headers = await router.post("/v1/chat/completions", ask(f"Question {number}?", user=f"u{number % 7}"))
        name = headers["x-highwayman-decision"]
        said = [number % 3 > 0, *([number % 2 == 0] if number % 5 == 0 else []), *([None] if number % 7 == 0 else [])]
        for value in said:
            await router.post("/v1/feedback", {"decision_id": name, "metric": "thumbs", "value": value})
        await router.decision(name, feedback=len(said))

    await asyncio.gather(*map(asked, range(30)))


async def test_a_routers_log_replayed_gives_bit_for_bit_the_state_the_live_learner_published(
    router: Router, valkey_url: str, namespace: str, tmp_path: Path
) -> None:
    await live(router)
    config = load_config(None).model_copy(update={"namespace": namespace})
    learning = LearnerFactory(config, [arm("small", "http://x"), arm("large", "http://x")], warm_encoder(config))
    client, archive = connect(valkey_url), Archive(tmp_path / "archive")
    try:
        await export(learning.retention(client), archive, store=learning.store(client), namespace=namespace)
        found: Published | None = None
        while found is None or found.snapshot.position != archive.last():
            found = await learning.publications(client).load()
    finally:
        await client.aclose()
    replay = Replay(learning.learner, SAME, kept_s=config.limits.feedback_window_s + GRACE_S)
    (chunk,) = replay.chunks(archive.read)
    assert replay.learner.snapshot() == found.snapshot
    assert replay.counts.rounds == chunk.log.n == 30
    chunk.log.check()
    assert len(np.unique(chunk.log.sessions)) == 7
    assert np.isnan(chunk.log.rewards).sum() == 5


def test_a_reward_counts_by_its_weight_as_the_learner_counts_it() -> None:
    said = [replace(thumb(name, value), weight=weight) for name, value, weight in
            (("d", 1.0, 1.0), ("e", 0.0, 0.1), ("f", 0.0, 0.005))]  # fmt: skip
    replay, rounds, _ = replayed(*(decision(statement.decision_id) for statement in said), *said)
    assert rounds.rewards.tolist() == [1.0, 0.0, 0.0]
    assert rounds.weights.tolist() == [1.0, 0.1, 0.005]
    mean_learned, _, _ = replay.learner.tally.arm("a").quality()
    quality = logged_policy_value(lambda: [LogWithTargets.from_log(rounds, ())], Normal()).means["quality"]
    assert quality.value == pytest.approx(1 / 1.105) == mean_learned


def test_rounds_of_one_conversation_share_a_session_where_no_user_is_named() -> None:
    ids = {"d": ("r1", "talk"), "e": ("r2", "talk"), "f": ("r3", "other"), "g": ("r3",), "h": ()}
    log = [replace(decision(name), links=links) for name, links in ids.items()]
    _, rounds, _ = replayed(*log, replace(decision("i"), links=("r4", "talk"), user="p"))
    d, e, f, g, h, person = rounds.sessions.tolist()
    assert d == e
    assert f == g, "an id of the request alone will do: several answers to it are one person's"
    assert len({d, f, h, person}) == 4


def test_links_that_name_turns_join_no_conversations_that_begin_alike() -> None:
    ids = {"d": ("talk", "hi"), "e": ("other", "hi"), "f": ("talk", "hi, and")}
    log = [replace(decision(name), links=links) for name, links in ids.items()]
    replay = Replay(make_learner, SAME, kept_s=1e6, turn_links=True)
    (chunk,) = replay.chunks(pages(*log))
    d, e, f = chunk.log.sessions.tolist()
    assert d == f != e


def test_under_another_objective_quality_counts_times_the_chance_to_answer_as_it_was_then() -> None:
    failed = replace(outcome("f", arm="b", status=Status.FAILED), at=decision("d").at)
    what_if = Counterfactual(ExplorationRules(0.02), Objective("auto", 0.0), pool=POOL)
    _, _, well = replayed(decision("d"), what_if=what_if)
    _, _, failing = replayed(decision("f", arm="b"), failed, decision("d"), what_if=what_if)
    assert failing[-1, 1] < well[-1, 1] - 0.1


def test_a_log_is_read_with_the_tags_that_a_router_declares() -> None:
    columns = TagColumns((Tag("task", slots=2),))
    tagged = columns.apply(context(), [("task", 1)])
    log = pages(decision("bare"), decision("tagged", at=tagged))
    bare, told = (summarise_log(log).with_tags(declared) for declared in (TagColumns(), columns))
    assert (bare.encoder, bare.d) == (FINGERPRINT, len(context().features))
    assert (told.encoder, told.d) == (tagged.fingerprint, len(tagged.features))
    assert told == summarise_log(log)


def test_decisions_from_before_and_after_a_tag_was_declared_are_one_log() -> None:
    tagged = TagColumns((Tag("task", slots=2),)).apply(context(), [("task", 1)])
    replay, rounds, _ = replayed(decision("tagged", at=tagged), thumb("tagged", 1.0), decision("bare"))
    assert (replay.counts.rounds, replay.counts.other_encoder) == (2, 0)
    assert rounds.contexts.tolist() == [context().features.tolist()] * 2
    assert replay.learner.policy.state() == replayed(decision("d"), thumb("d", 1.0))[0].learner.policy.state()
