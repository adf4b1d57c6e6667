import json
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.types import Control, ControlKind, Feedback
from highwayman.feedback.fold.learner import Learner, Snapshot
from highwayman.feedback.fold.log_fold import Page, Pages, fold_log, snapshot_difference
from highwayman.feedback.fold.rollbacks import VoidedRange, effective_rollbacks
from highwayman.feedback.fold.tally import OVERLAP
from highwayman.feedback.log.events import Event, encode
from tests.feedback.worlds import FINGERPRINT, decision, make_learner, outcome, thumb


def pages(*events: Event, size: int = 2) -> Pages:
    """The log of these events, ids from 1-0 on, in pages."""
    rows = [(f"{number}-0", encode(event), False) for number, event in enumerate(events, start=1)]

    async def read() -> AsyncIterator[Page]:
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    return read


async def state(*events: Event, kept_s: float = 9.0, upto: str | None = None) -> Snapshot:
    return (await fold_log(pages(*events), make_learner, kept_s=kept_s, upto=upto)).learner.snapshot()


def rollback(position: str) -> Control:
    return Control(1.0, ControlKind.ROLLBACK, {"position": position})


async def test_the_fold_ends_where_it_is_told_to() -> None:
    log = [decision("d"), thumb("d", 1.0), thumb("d", 0.0)]
    assert (await state(*log, upto="2-0")).position == "2-0"
    assert snapshot_difference(await state(*log, upto="2-0"), await state(*log[:2])).largest == 0.0


async def test_a_rollback_voids_the_feedback_since_and_keeps_what_else_happened() -> None:
    log = [decision("d"), thumb("d", 1.0), decision("e"), outcome("e"), thumb("d", 0.0), thumb("e", 0.0)]
    back = await state(*log, rollback("2-0"), thumb("e", 1.0))
    only = await state(*log[:2], *log[2:4], thumb("e", 1.0))
    assert snapshot_difference(back, only).largest == 0.0


async def test_a_rollback_of_a_rollback_brings_back_what_it_took() -> None:
    log = [decision("d"), thumb("d", 1.0), thumb("d", 0.0)]
    assert snapshot_difference(await state(*log, rollback("2-0"), rollback("3-0")), await state(*log)).largest == 0.0


def test_rollbacks_that_hold_are_those_in_force_where_the_last_one_leads_back_to() -> None:
    one, two, three = VoidedRange("2-0", "5-0"), VoidedRange("3-0", "8-0"), VoidedRange("6-0", "9-0")
    assert effective_rollbacks([one]) == (one,)
    assert effective_rollbacks([one, two]) == (two,)
    assert effective_rollbacks([one, two, three]) == (one, three)


async def test_feedback_that_comes_after_its_decision_was_let_go_teaches_nothing() -> None:
    late = [decision("d"), decision("e"), thumb("d", 1.0)]
    far = [("1-0", encode(late[0]), False), ("5000-0", encode(late[1]), False), ("5001-0", encode(late[2]), False)]

    async def read() -> AsyncIterator[Page]:
        yield far

    found = await fold_log(read, make_learner, kept_s=2.0)
    assert found.learner.tally.totals().feedback == 0
    assert (await fold_log(read, make_learner, kept_s=9.0)).learner.tally.totals().feedback == 1


async def test_states_that_differ_are_told_apart_by_the_largest_number() -> None:
    one = await state(decision("d"), thumb("d", 1.0))
    assert snapshot_difference(one, one).largest == 0.0
    assert snapshot_difference(one, await state(decision("d"), thumb("d", 0.0))).policy == pytest.approx(1.0)
    counted_twice = replace(one, tally=(await state(decision("d"), decision("e"))).tally)
    assert snapshot_difference(one, counted_twice).tally == 1.0


async def test_what_calibration_counts_is_compared_cell_by_cell_whichever_state_has_them() -> None:
    def score(name: str, value: float) -> Feedback:
        return thumb(name, value, metric="judge", source="judge")

    none = await state(decision("d"), decision("e"))
    one = await state(decision("d"), decision("e"), score("d", 0.9), thumb("d", 1.0))
    both = await state(decision("d"), decision("e"), score("d", 0.9), thumb("d", 1.0), score("e", 0.9))
    for left, right, difference in ((none, one, 1.0), (one, none, 1.0), (one, both, 1.0), (both, both, 0.0)):
        cells = [replace(each, tally=_only_cells(each.tally)) for each in (left, right)]
        assert snapshot_difference(*cells).tally == difference


def _only_cells(tally: bytes) -> bytes:
    return json.dumps({name: rows for name, rows in json.loads(tally).items() if name == OVERLAP}).encode()


async def test_a_tenant_that_only_one_of_two_states_knows_does_not_matter_if_nothing_was_learned_of_it() -> None:
    def learner() -> Learner:
        return Learner(made(), DEFAULT_SPEC, fingerprint=FINGERPRINT, arms=("a", "b"), make=made)

    def made() -> LinTS:
        return LinTS(d=3, fingerprint=FINGERPRINT)

    def blank(arms: Sequence[str]) -> bytes:
        policy = made()
        for name in arms:
            policy.add_arm(name)
        return policy.state()

    async def folded(*events: Event) -> Snapshot:
        return (await fold_log(pages(*events), learner, kept_s=9.0)).learner.snapshot()

    own, other = decision("d"), replace(decision("e"), tenant="acme")
    said, taken = thumb("e", 1.0, at=1.0), thumb("e", None, at=2.0)
    without, with_it = await folded(own, other), await folded(own, other, said, taken)
    assert snapshot_difference(with_it, without).policy == math.inf
    assert snapshot_difference(with_it, without, blank=blank).largest < 1e-9
    assert snapshot_difference(await folded(own, other, said), without, blank=blank).policy > 0.5


def erasure(name: str, *feedback: str) -> Control:
    return Control(1.0, ControlKind.ERASURE, {"decision": name, "feedback": list(feedback)})


@pytest.mark.parametrize("times", [1, 2])
async def test_one_persons_erased_statements_are_as_if_never_made_however_often_they_are_erased(times: int) -> None:
    gone, stays = thumb("d", 1.0, source="ann", feedback_id="gone"), thumb("d", 0.0, source="bob")
    taken = await state(decision("d"), gone, stays, *[erasure("d", "gone")] * times)
    never = await state(decision("d"), stays)
    assert snapshot_difference(taken, never).largest < 1e-12
    assert snapshot_difference(taken, await state(decision("d"), gone, stays)).largest > 0.1


async def test_a_decision_erased_whole_is_as_if_never_made_with_its_outcome_and_all_that_was_said() -> None:
    others = [decision("e"), outcome("e"), thumb("e", 1.0)]
    gone = [decision("d"), outcome("d"), thumb("d", 0.0)]
    erased = await state(*others, *gone, erasure("d"))
    assert snapshot_difference(erased, await state(*others)).largest < 1e-12
