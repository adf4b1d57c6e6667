import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.feedback.influence import Caps, Influence

STATEMENTS = st.lists(
    st.tuples(st.sampled_from("kK"), st.sampled_from(["ann", "bob", ""]), st.floats(0.0, 50.0)),
    min_size=1,
    max_size=300,
)


@settings(max_examples=60, deadline=None)
@given(statements=STATEMENTS, share=st.floats(0.05, 0.9), grace=st.floats(0.0, 5.0))
def test_nobody_ever_weighs_more_than_their_share_or_the_grace(
    statements: list[tuple[str, str, float]], share: float, grace: float
) -> None:
    influence = Influence(Caps(person_share=share, grace=grace, half_life_s=100.0))
    at, given_weights = 0.0, []
    for key, person, wait_s in statements:
        at += wait_s
        given_weights.append((person, influence.weigh("t", key=key, person=person, at=at), at))
        whole = sum(weight * 0.5 ** ((at - then) / 100.0) for _, weight, then in given_weights)
        own = sum(weight * 0.5 ** ((at - then) / 100.0) for who, weight, then in given_weights if who == person)
        if person:
            assert own <= max(grace, share * whole) + 1e-9


def test_whoever_stays_below_the_cap_weighs_in_full() -> None:
    influence = Influence(Caps(person_share=0.1, grace=20.0))
    assert all(influence.weigh("t", key="k", person=f"p{n % 50}", at=float(n)) == 1.0 for n in range(1000))


def test_a_flood_of_one_key_weighs_its_share_of_what_others_say() -> None:
    influence = Influence(Caps(key_share=0.1, person_share=None, grace=5.0))
    for n in range(900):
        influence.weigh("t", key="honest", person="", at=float(n), key_share=1.0)
    total = sum(influence.weigh("t", key="bad", person=f"p{n}", at=900.0 + n / 1e6) for n in range(10_000))
    assert total == pytest.approx(100.0, rel=0.02)


def test_one_tenants_people_leave_no_more_or_less_room_for_anothers() -> None:
    influence = Influence(Caps(person_share=0.1, grace=3.0))
    for n in range(1000):
        influence.weigh("other", key="k", person=f"p{n}", at=0.0)
    assert sum(influence.weigh("t", key="k", person="ann", at=0.0) for _ in range(50)) == 3.0
