"""Whatever happens in whatever order: what is learned is the fold of the log, every event of it counted once.

A Hypothesis state machine drives the real store in a real Valkey and real learners. What must have been learned is
worked out from the final values alone, by other code than the fold's.
"""

import asyncio
from dataclasses import replace

import numpy as np
import pytest
import redis.asyncio as aioredis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.snapshot import unpack
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.types import DEFAULT_TENANT, Control, ControlKind, Decision, Feedback, Outcome, Status
from highwayman.feedback.fold.learner import Learner
from highwayman.feedback.fold.log_fold import fold_log, snapshot_difference
from highwayman.feedback.learning.publications import Publications
from highwayman.feedback.learning.session import LearnerDependencies, LearnerSession
from highwayman.feedback.learning.version_history import VersionHistory
from highwayman.feedback.log.event_id import START, EventId, sort_key
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store, Written
from highwayman.feedback.log.upkeep.erasure import Erasure
from highwayman.feedback.log.upkeep.retention import Retention
from tests.feedback.worlds import FINGERPRINT, context, decision, outcome, thumb

ARMS = ("a", "b", "c")
NAMES = [f"d{k}" for k in range(6)]
PERSONS = ["", "ann", "bob"]
TENANTS = {name: "acme" if k % 2 else DEFAULT_TENANT for k, name in enumerate(NAMES)}
EQUAL = 1e-9


def make_learner() -> Learner:
    return Learner(LinTS(d=3, fingerprint=FINGERPRINT), DEFAULT_SPEC, fingerprint=FINGERPRINT, arms=ARMS)


class Machine(RuleBasedStateMachine):
    """The log, what was put on it, and two learners that take turns."""

    url: str
    runner: asyncio.Runner
    examples = 0

    @initialize()
    def begin(self) -> None:
        Machine.examples += 1
        namespace = f"machine-{id(self)}-{Machine.examples}"
        self.client: aioredis.Redis = connect(self.url)
        self.store = Store(self.client, namespace)
        self.retention = Retention(self.client, namespace, window_s=3600)
        self.publications = Publications(self.client, namespace, "test")
        self.parts = LearnerDependencies(
            self.store, self.publications, VersionHistory(self.client, namespace, "test"), make_learner
        )
        self.log: dict[EventId, Written] = {}  # as it was acknowledged
        self.voids: list[tuple[EventId, EventId]] = []  # in force now
        self.voids_at: dict[EventId, list[tuple[EventId, EventId]]] = {}  # what was in force when a rollback came
        self.erased: set[str] = set()
        self.erased_persons: dict[EventId, str] = {}
        self.forgotten: set[str] = set()  # ids of feedback that went without its decision
        self.turns = 0
        self.clock = 1_000.0
        self.stale: list[LearnerSession] = []
        self.turn = self.do(self.takes_over())

    def do(self, work):  # type: ignore[no-untyped-def]
        return self.runner.run(work)

    async def takes_over(self) -> LearnerSession:
        self.turns += 1
        holder = f"holder-{self.turns}"
        await self.client.delete(self.store.keys("lease", "test"))  # it ran out
        epoch = await self.publications.acquire(holder, hold_s=60)
        assert epoch is not None
        turn = LearnerSession(self.parts, holder=holder, epoch=epoch, wall=self.now)
        await turn.start()
        return turn

    def now(self) -> float:
        self.clock += 100.0
        return self.clock

    def put(self, event: Written) -> None:
        event_id = self.do(self.store.put_all([event]))[0]
        name = event.id if isinstance(event, Decision) else event.decision_id
        forgotten = isinstance(event, Feedback) and event.id in self.forgotten
        assert (event_id is None) == (name in self.erased or forgotten)
        if event_id is not None:
            self.log.setdefault(event_id, event)

    @rule(name=st.sampled_from(NAMES), arm=st.sampled_from(ARMS), person=st.sampled_from(PERSONS),
          x=st.tuples(st.floats(-1, 1), st.floats(-1, 1)))  # fmt: skip
    def decide(self, name: str, arm: str, person: str, x: tuple[float, float]) -> None:
        made = decision(name, arm=arm, arms=ARMS, at=context(*x, 1.0))
        self.put(replace(made, user=person, tenant=TENANTS[name]))

    @rule(name=st.sampled_from(NAMES), arm=st.sampled_from(ARMS), lost=st.booleans())
    def end(self, name: str, arm: str, lost: bool) -> None:
        self.put(outcome(name, arm=arm, status=Status.LOST if lost else Status.OK))

    @rule(name=st.sampled_from(NAMES), value=st.sampled_from([0.0, 1.0, None]), person=st.sampled_from(PERSONS),
          source=st.sampled_from(["user", "grader"]), late_s=st.sampled_from([0.0, 0.0, 500.0]))  # fmt: skip
    def say(self, name: str, value: float | None, person: str, source: str, late_s: float) -> None:
        self.put(thumb(name, value, user=person, source=source, at=self.now() - late_s))

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        self.put(data.draw(st.sampled_from(list(self.log.values()))))

    @rule(count=st.integers(1, 8))
    def learn(self, count: int) -> None:
        self.do(self.turn.advance(count=count, block_s=0.0))

    @rule(back=st.integers(1, 5))
    def deliver_again(self, back: int) -> None:
        before = self.turn.learner.snapshot()

        async def again() -> None:
            events = [row async for page in self.retention.scan(START) for row in page]
            known = [row for row in events if sort_key(row[0]) <= sort_key(before.position)]
            if known:
                self.turn.learner.step(await self.turn._entries(known[-back:]))

        self.do(again())
        assert self.turn.learner.snapshot() == before

    @rule()
    def publish(self) -> None:
        assert self.do(self.turn.publish())

    @rule()
    def crash(self) -> None:
        self.turn = self.do(self.takes_over())

    @rule()
    def lose_the_lease_and_go_on(self) -> None:
        self.stale.append(self.turn)
        self.turn = self.do(self.takes_over())

    @precondition(lambda self: self.stale)
    @rule()
    def publish_without_the_lease(self) -> None:
        before = self.do(self.publications.stamp())
        self.do(self.stale[-1].advance(count=5, block_s=0.0))
        assert not self.do(self.stale[-1].publish())
        assert self.do(self.publications.stamp()) == before

    @rule(person=st.sampled_from(PERSONS[1:]), and_forget=st.booleans())
    def erase(self, person: str, and_forget: bool) -> None:
        erasure = Erasure(self.retention, None, [person])
        self.do(erasure.find())
        last = self.do(erasure.put_markers(at=self.now()))
        self.erased |= {name for name, erased in erasure.found.items() if erased.whole}
        for name, erased in erasure.found.items():
            if not erased.whole:
                self.erased_persons.update(dict.fromkeys(erased.feedback, name))
        if and_forget:
            self.catch_up()
            assert sort_key(self.turn.learner.position) >= sort_key(last)
            assert self.do(self.turn.publish())
            self.do(self.parts.versions.drop_before(last))
            self.stale.clear()  # a learner without the lease that has not followed is not waited for
            self.do(erasure.forget())
            self.forgotten.update(
                said for one in erasure.found.values() if not one.whole for said in one.feedback.values()
            )
            assert self.do(erasure.find()) == 0

    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        kept = self.do(self.parts.versions.all())
        if not kept:
            return
        to = data.draw(st.sampled_from(kept)).position
        detail = {"position": to}
        event_id = self.do(self.store.append(Control(1.0, ControlKind.ROLLBACK, detail)))
        earlier = [one for one in self.voids_at if sort_key(one) <= sort_key(to)]
        self.voids = [*(self.voids_at[max(earlier, key=sort_key)] if earlier else []), (to, event_id)]
        self.voids_at[event_id] = self.voids

    def catch_up(self) -> None:
        for _ in range(20 + 3 * len(self.voids_at)):  # each rollback reads a stretch again
            if not self.do(self.turn.advance(count=100, block_s=0.0)):
                return
        raise AssertionError("the learner never comes to the log's end")

    def teardown(self) -> None:
        if not hasattr(self, "turn"):
            return
        self.catch_up()
        learned = self.turn.learner.snapshot()
        _, arrays = unpack(learned.policy)
        for name, wanted in self.expected().items():
            assert np.abs(arrays[name] - wanted).max() <= EQUAL, name
        whole = self.do(fold_log(lambda: self.retention.scan(START), make_learner, kept_s=3600))
        apart = snapshot_difference(learned, whole.learner.snapshot())
        assert apart.largest <= EQUAL
        assert self.turn.learner.tally.totals().feedback == self.answers()
        for tenant in {*TENANTS.values()}:
            calls = [day.calls for day in self.turn.learner.tally.spent(tenant).values()]
            assert sum(calls) == self.calls(tenant), tenant
        self.do(self.client.aclose())

    def final(self) -> dict[str, tuple[Decision, str, list[Feedback]]]:
        """What stands in the end: by decision its arm and the newest statements."""
        made = {e.id: e for e in self.log.values() if isinstance(e, Decision) and e.id not in self.erased}
        found = {}
        for name, event in made.items():
            arm = event.arm
            for one in self.log.values():
                if isinstance(one, Outcome) and one.decision_id == name and one.status is not Status.LOST:
                    arm = one.arm
            newest: dict[tuple[str, str], Feedback] = {}
            for event_id in sorted(self.log, key=sort_key):
                one = self.log[event_id]
                void = any(sort_key(start) < sort_key(event_id) <= sort_key(end) for start, end in self.voids)
                if not isinstance(one, Feedback) or one.decision_id != name or void or event_id in self.erased_persons:
                    continue
                standing = newest.get((one.source, one.user))
                if standing is None or one.at >= standing.at:
                    newest[one.source, one.user] = one
            found[name] = event, arm, [one for one in newest.values() if one.value is not None]
        return found

    def calls(self, tenant: str) -> int:
        """How many calls ended whose dollars are the tenant's; the default one's where no decision came."""
        made = {event.id for event in self.log.values() if isinstance(event, Decision)}
        ended = {e.decision_id for e in self.log.values() if isinstance(e, Outcome) and e.status is not Status.LOST}
        return sum((TENANTS[name] if name in made else DEFAULT_TENANT) == tenant for name in ended - self.erased)

    def answers(self) -> int:
        return sum(bool(said) for _, _, said in self.final().values())

    def expected(self) -> dict[str, np.ndarray]:
        """The prior's sums and what the final values add to them."""
        prior = unpack(make_learner().snapshot().policy)[1]
        a, b, sums = prior["a"].copy(), prior["b"].copy(), prior["sums"].copy()
        for event, arm, said in self.final().values():
            row, x, w = ARMS.index(arm), event.context.features, float(len(said))
            r = sum(one.value or 0.0 for one in said) / w if said else 0.0
            a[row] += w * np.outer(x, x)
            b[row] += w * r * x
            sums[row] += w, w * r * r
        return {"a": a, "b": b, "sums": sums}


@pytest.mark.timeout(300)
def test_what_is_learned_is_the_fold_of_the_log_whatever_happens(valkey_url: str) -> None:
    with asyncio.Runner() as runner:
        Machine.url, Machine.runner = valkey_url, runner
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )


def test_a_call_given_up_under_another_arm_and_ended_after_all_is_the_fold_of_its_log(valkey_url: str) -> None:
    with asyncio.Runner() as runner:
        Machine.url, Machine.runner = valkey_url, runner
        machine = Machine()
        machine.begin()
        machine.decide(name="d0", arm="a", person="", x=(0.0, 0.0))
        machine.end(name="d0", arm="b", lost=True)
        machine.say(name="d0", value=0.0, person="", source="user", late_s=0.0)
        machine.end(name="d0", arm="a", lost=False)
        machine.teardown()
