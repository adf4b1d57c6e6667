"""A conversation keeps its replica, unless that is down or has too much to do."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.pool.replica_order import replica_order

URLS = [f"http://10.0.0.{n}:8000" for n in range(4)]


def order(urls: list[str] = URLS, *, down: tuple[str, ...] = (), affinity: str = "c", **busy: int) -> list[str]:
    loads = {URLS[int(name[1:])]: calls for name, calls in busy.items()}
    return replica_order(urls, is_up=lambda url: url not in down, load=lambda url: loads.get(url, 0), affinity=affinity)


def test_a_conversation_keeps_its_replica_in_whatever_order_they_are_listed() -> None:
    assert order() == order(URLS[::-1])


def test_conversations_are_spread_evenly() -> None:
    firsts = Counter(order(affinity=f"c{n}")[0] for n in range(2000))
    assert all(400 < firsts[url] < 600 for url in URLS)


def test_a_replica_that_goes_moves_its_own_conversations_only() -> None:
    for n in range(200):
        before = order(affinity=f"c{n}")
        after = order(affinity=f"c{n}", down=(URLS[0],))
        assert after[:3] == [url for url in before if url != URLS[0]]
        assert after[3] == URLS[0]


def test_a_replica_that_has_too_much_to_do_is_passed_over_and_taken_again_when_it_has_not() -> None:
    own = order()[0]
    loads = {f"r{URLS.index(own)}": 5}
    assert order(**loads)[0] == order()[1]
    assert order(**loads)[-1] == own
    assert order(r0=5, r1=5, r2=5, r3=5)[0] == own


def test_without_a_conversation_the_least_busy_comes_first() -> None:
    assert order(affinity="", r0=3, r1=0, r2=2, r3=1) == [URLS[1], URLS[3], URLS[2], URLS[0]]
    assert order(affinity="", down=(URLS[0],))[-1] == URLS[0]


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=6),
    st.lists(st.booleans(), min_size=6, max_size=6),
    st.text(max_size=5),
)
def test_every_replica_is_tried_once_those_that_are_up_first(loads: list[int], up: list[bool], affinity: str) -> None:
    names = [str(n) for n in range(len(loads))]
    ordered = replica_order(
        names, is_up=lambda name: up[int(name)], load=lambda name: loads[int(name)], affinity=affinity
    )
    assert sorted(ordered) == names
    assert [up[int(name)] for name in ordered] == sorted((up[int(name)] for name in names), reverse=True)
