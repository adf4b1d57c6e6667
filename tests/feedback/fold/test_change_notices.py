"""What the learner takes for a change of an arm, where several sources speak of it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from highwayman.bandit.drift.change_monitor import ChangeMonitors
from highwayman.bandit.policies.hier_ts import HierTS
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.types import DEFAULT_TENANT, Context, Control, ControlKind, Decision, Feedback
from highwayman.feedback.fold.learner import Learner, LogEntry
from highwayman.feedback.log.events import Event
from highwayman.feedback.log.record import Record
from tests.feedback.worlds import FINGERPRINT, decision, thumb

Told = Callable[[str, int, np.random.Generator], list[Feedback]]  # what is said of an answer, by its name and number

ANSWERS = 1500


def thumbs(name: str, quality: float, rng: np.random.Generator) -> Feedback:
    return thumb(name, float(rng.random() < quality))


def judged(name: str, quality: float, rng: np.random.Generator) -> Feedback:
    return thumb(name, float(np.clip(rng.normal(quality, 0.1), 0.0, 1.0)), source="judge", metric="judge")


def regenerated(name: str) -> Feedback:
    """Worth .02 answers of quality .1, as a calibration has it."""
    return replace(thumb(name, 1.0, source="implicit", metric="regenerated"), weight=0.08, quality=0.1)


def half_are_regenerated(name: str, number: int, rng: np.random.Generator) -> list[Feedback]:
    return [regenerated(name) if number % 2 else thumbs(name, 0.8, rng)]


def a_judge_comes_half_way(name: str, number: int, rng: np.random.Generator) -> list[Feedback]:
    if number < ANSWERS / 2:
        return [thumbs(name, 0.8, rng)]
    told = [thumbs(name, 0.8, rng)] if number % 10 == 0 else []
    return [*told, judged(name, 0.55, rng)]


def a_judge_takes_over(name: str, number: int, rng: np.random.Generator) -> list[Feedback]:
    by_judge = rng.random() < (0.95 if number > ANSWERS / 2 else 0.05)
    return [judged(name, 0.45, rng) if by_judge else thumbs(name, 0.8, rng)]


def the_judge_is_corrected_half_way(name: str, number: int, rng: np.random.Generator) -> list[Feedback]:
    told = judged(name, 0.45, rng)
    return [replace(told, quality=min((told.value or 0.0) + 0.35, 1.0)) if number > ANSWERS / 2 else told]


def noticed_after(told: Told) -> list[int]:
    """Return after which answers the only arm was taken for changed."""
    rng, numbers = np.random.default_rng(0), []
    policy = HierTS(d=1, fingerprint=FINGERPRINT)
    learner = Learner(policy, DEFAULT_SPEC, fingerprint=FINGERPRINT, arms=("a",))
    learner.notices.monitors = ChangeMonitors(100_000.0)
    position = 0
    for number in range(ANSWERS):
        made = replace(decision(f"d{number}"), context=Context(np.ones(1), FINGERPRINT, 1), at=1e9 + number)
        events: list[Event] = [made, *told(made.id, number, rng)]
        ids = [f"{position + n}-0" for n in range(1, len(events) + 1)]
        filed = {event_id: said for event_id, said in zip(ids, events, strict=True) if isinstance(said, Feedback)}
        record, position = Record(made, ids[0], None, None, filed), position + len(events)
        for event_id, event in zip(ids, events, strict=True):
            for notice in learner.step([LogEntry(event_id, event, record)]).detected_changes:
                numbers.append(number)
                position += 1
                learner.step([LogEntry(f"{position}-0", notice)])
    return numbers


@pytest.mark.parametrize(
    "told", [half_are_regenerated, a_judge_comes_half_way, a_judge_takes_over, the_judge_is_corrected_half_way]
)
def test_an_arm_is_not_taken_for_changed_by_who_speaks_of_it_or_what_that_weighs(told: Told) -> None:
    assert noticed_after(told) == []


def test_a_change_is_noticed_beside_statements_of_little_weight() -> None:
    def halved(name: str, number: int, rng: np.random.Generator) -> list[Feedback]:
        return [regenerated(name) if number % 2 else thumbs(name, 0.8 if number < ANSWERS / 2 else 0.3, rng)]

    numbers = noticed_after(halved)
    assert len(numbers) == 1
    assert ANSWERS / 2 < numbers[0] < ANSWERS / 2 + 250


class Tenants:
    """A learner of two tenants' answers by one arm, whose rewards change when they are told to."""

    def __init__(self) -> None:
        def make() -> HierTS:
            return HierTS(d=1, fingerprint=FINGERPRINT)

        self.learner = Learner(make(), DEFAULT_SPEC, fingerprint=FINGERPRINT, arms=("a",), make=make)
        self.learner.notices.monitors = ChangeMonitors(1_000.0)
        self.position = 0

    def put(self, *events: Event) -> list[Control]:
        """Put events on the log and fold them; return what was noticed."""
        ids = [f"{self.position + n}-0" for n in range(1, len(events) + 1)]
        filed = {event_id: said for event_id, said in zip(ids, events, strict=True) if isinstance(said, Feedback)}
        record = Record(events[0], ids[0], None, None, filed) if isinstance(events[0], Decision) else None
        self.position += len(events)
        entries = [LogEntry(event_id, event, record) for event_id, event in zip(ids, events, strict=True)]
        return [*self.learner.step(entries).detected_changes]

    def answer(self, tenant: str, value: float) -> list[Control]:
        """Have an answer rated; return what was noticed."""
        made = replace(decision(f"d{self.position}"), tenant=tenant, context=Context(np.ones(1), FINGERPRINT, 1))
        return self.put(made, thumb(made.id, value))

    def weight(self, tenant: str) -> float:
        policy = self.learner.policy_for(tenant)
        assert isinstance(policy, HierTS)
        return policy.posterior.weight_of("a")


@pytest.mark.parametrize(("whose", "others"), [("acme", DEFAULT_TENANT), (DEFAULT_TENANT, "acme")])
def test_a_change_is_told_to_the_tenant_whose_answers_gave_it_away_and_to_nobody_else(whose: str, others: str) -> None:
    world = Tenants()
    for number in range(120):  # three of four are liked
        for tenant in (whose, others):
            assert world.answer(tenant, float(number % 4 != 0)) == []
    notices: list[Control] = []
    while not notices:
        notices = world.answer(whose, 0.0)
        assert world.answer(others, 1.0) == []
    (notice,) = notices
    assert notice.kind is ControlKind.CHANGE_NOTICED
    assert (notice.detail["arm"], notice.detail["better"], notice.detail.get("tenant", DEFAULT_TENANT)) == (
        "a", False, whose,
    )  # fmt: skip
    before = {tenant: world.weight(tenant) for tenant in (whose, others)}
    assert notice.detail["share"] == pytest.approx(10.0 / before[whose])
    while number < 160:  # until it is discounted, nothing more is noticed of it
        number += 1
        assert world.answer(whose, 1.0) == []
    world.put(notice)
    assert world.weight(others) == before[others]
    assert world.weight(whose) == pytest.approx((before[whose] + 41) * 10.0 / before[whose])
    again = [notice for n in range(160) for notice in world.answer(whose, float(n < 100))]
    assert [notice.detail["better"] for notice in again] == [False]  # it is watched anew


def test_a_change_is_noticed_whichever_source_gives_it_away_and_whatever_all_of_them_weigh() -> None:
    def halved(name: str, number: int, rng: np.random.Generator) -> list[Feedback]:
        share = 1.0 if number < ANSWERS / 2 else 0.5
        light = judged(name, 0.55 * share, rng) if number % 3 else thumbs(name, 0.8 * share, rng)
        return [replace(light, weight=0.05)]

    numbers = noticed_after(halved)
    assert len(numbers) == 1
    assert ANSWERS / 2 < numbers[0] < ANSWERS / 2 + 150
