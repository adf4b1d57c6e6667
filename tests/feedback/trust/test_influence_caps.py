from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.feedback.trust.influence_caps import InfluenceCaps, InfluenceLimiter

HALF_LIFE_S = 100.0
STATEMENTS = st.lists(
    st.tuples(st.sampled_from("tT"), st.sampled_from("kK"), st.sampled_from(["ann", "bob", ""]), st.floats(0.0, 50.0)),
    min_size=1,
    max_size=300,
)


def total(weighed: Sequence[tuple[float, float]], at: float) -> float:
    return sum(weight * 0.5 ** ((at - then) / HALF_LIFE_S) for weight, then in weighed)


@settings(max_examples=60, deadline=None)
@given(
    statements=STATEMENTS, key_share=st.floats(0.05, 0.9), person_share=st.floats(0.05, 0.9), grace=st.floats(0.0, 5.0)
)
def test_nobody_ever_weighs_more_than_their_share_or_the_grace_and_whoever_has_room_weighs_in_full(
    statements: list[tuple[str, str, str, float]], key_share: float, person_share: float, grace: float
) -> None:
    influence = InfluenceLimiter(InfluenceCaps(key_share, person_share, grace, HALF_LIFE_S))
    at, everything = 0.0, list[tuple[str, str, str, float, float]]()
    for tenant, key, person, wait_s in statements:
        at += wait_s
        weight = influence.allowed_weight(tenant, key=key, person=person, at=at)
        everything.append((tenant, key, person, weight, at))
        theirs = [one for one in everything if one[0] == tenant]
        whole, room = total([one[3:] for one in theirs], at), [1.0]
        for place, name, share in ((1, key, key_share), (2, person, person_share)):
            if name:
                own = total([one[3:] for one in theirs if one[place] == name], at)
                most = max(grace, share / (1.0 - share) * (whole - own))
                assert own <= max(grace, share * whole) + 1e-9
                room.append(most - (own - weight))
        assert weight == pytest.approx(max(min(room), 0.0), abs=1e-9)


def test_whoever_stays_below_the_cap_weighs_in_full() -> None:
    influence = InfluenceLimiter(InfluenceCaps(person_share=0.1, grace=20.0))
    assert all(influence.allowed_weight("t", key="k", person=f"p{n % 50}", at=float(n)) == 1.0 for n in range(1000))


def test_a_flood_of_one_key_weighs_its_share_of_what_others_say() -> None:
    influence = InfluenceLimiter(InfluenceCaps(key_share=0.1, person_share=None, grace=5.0))
    for n in range(900):
        influence.allowed_weight("t", key="honest", person="", at=float(n), key_share=1.0)
    flood = sum(influence.allowed_weight("t", key="bad", person=f"p{n}", at=900.0 + n / 1e6) for n in range(10_000))
    assert flood == pytest.approx(100.0, rel=0.02)


def test_one_tenants_people_leave_no_more_or_less_room_for_anothers() -> None:
    influence = InfluenceLimiter(InfluenceCaps(person_share=0.1, grace=3.0))
    for n in range(1000):
        influence.allowed_weight("other", key="k", person=f"p{n}", at=0.0)
    assert sum(influence.allowed_weight("t", key="k", person="ann", at=0.0) for _ in range(50)) == 3.0


def test_a_crowd_of_invented_people_takes_no_more_memory_and_lets_nobody_who_is_at_the_cap_off() -> None:
    influence = InfluenceLimiter(InfluenceCaps(key_share=0.5, person_share=0.25, grace=50.0), most=1000)
    for _ in range(60):
        influence.allowed_weight("t", key="k", person="ann", at=0.0, key_share=1.0)
    largest = 0
    for n in range(20_000):
        influence.allowed_weight("t", key="k", person=f"p{n}", at=0.0)
        largest = max(largest, len(influence))
    assert largest <= 1000
    assert influence.allowed_weight("t", key="k", person="ann", at=0.0) == 0.0


def test_who_has_faded_away_is_forgotten() -> None:
    influence = InfluenceLimiter(InfluenceCaps(half_life_s=1.0))
    for n in range(5000):
        influence.allowed_weight(f"t{n}", key="k", person=f"p{n}", at=0.0)
    for n in range(10_000):
        influence.allowed_weight("t", key="k", person="ann", at=1000.0 + n)
    assert len(influence) == 1


def test_who_has_faded_away_is_looked_for_now_and_then_and_not_at_every_statement() -> None:
    influence = InfluenceLimiter(InfluenceCaps(half_life_s=1.0))
    for n in range(2000):
        influence.allowed_weight("t", key="k", person=f"p{n}", at=0.0)
    lengths = []
    for _ in range(4000):
        influence.allowed_weight("t", key="k", person="ann", at=1000.0)
        lengths.append(len(influence))
    assert (lengths[0], lengths[-1]) == (2001, 1)
