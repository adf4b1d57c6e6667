import math

import numpy as np
import pytest

from highwayman.env.types import Floats
from highwayman.sims.ope.estimate import RoundValues
from highwayman.sims.ope.intervals.session_hash import hashed
from highwayman.sims.ope.intervals.session_sums import SessionSums


def rounds_of(numerator: Floats, denominator: Floats | None = None, sessions: Floats | None = None) -> RoundValues:
    n = len(numerator)
    below = np.ones(n) if denominator is None else denominator
    who = np.arange(n) if sessions is None else sessions.astype(np.int64)
    return RoundValues(numerator, below, below, who, -math.inf, math.inf)


def summed(*rounds: RoundValues) -> SessionSums:
    sums = SessionSums()
    for some in rounds:
        sums.add(some)
    return sums


def test_a_ratio_of_sums_has_the_sandwich_error_of_its_sessions() -> None:
    rng = np.random.default_rng(0)
    n, d, who = rng.random(60), rng.random(60), np.arange(60) // 5
    value = n.sum() / d.sum()
    left = [(n[who == s] - value * d[who == s]).sum() for s in range(12)]
    wanted = math.sqrt(12 / 11 * sum(one**2 for one in left)) / d.sum()
    sums = summed(rounds_of(n, d, who))
    assert sums.value() == pytest.approx(value)
    assert sums.stderr() == (pytest.approx(wanted), 12)


def test_a_mean_over_sessions_of_one_round_has_the_textbook_error() -> None:
    x = np.random.default_rng(1).random(50)
    assert summed(rounds_of(x)).stderr()[0] == pytest.approx(x.std(ddof=1) / math.sqrt(50))


def test_saying_everything_twice_makes_nothing_surer() -> None:
    x, who = np.random.default_rng(2).random(50), np.arange(50)
    once = summed(rounds_of(x, sessions=who))
    twice = summed(rounds_of(np.tile(x, 2), sessions=np.tile(who, 2)))
    assert twice.stderr() == (pytest.approx(once.stderr()[0]), 50)


def test_a_session_cut_by_a_chunk_is_one_session() -> None:
    x, who = np.random.default_rng(3).random(40), np.arange(40) % 7
    whole = summed(rounds_of(x, sessions=who))
    cut = summed(rounds_of(x[33:], sessions=who[33:]), rounds_of(x[:33], sessions=who[:33]))
    assert cut.stderr() == (pytest.approx(whole.stderr()[0]), 7)


def test_more_sessions_than_buckets_only_make_the_error_a_little_noisy() -> None:
    x = np.random.default_rng(4).random(300_000)
    stderr, sessions = summed(rounds_of(x)).stderr()
    assert stderr == pytest.approx(x.std() / math.sqrt(300_000), rel=0.02)
    assert 60_000 < sessions <= 65_536


def test_nothing_and_one_session_have_no_error() -> None:
    assert math.isnan(SessionSums().value())
    assert math.isnan(summed(rounds_of(np.ones(5), sessions=np.zeros(5))).stderr()[0])


def test_hashes_are_even_and_another_salt_gives_others() -> None:
    keys = np.arange(100_000)
    shares = np.bincount((hashed(keys, salt=0) % np.uint64(10)).astype(np.intp)) / len(keys)
    assert shares == pytest.approx(0.1, abs=0.005)
    low, other = hashed(keys, salt=0) % np.uint64(2), hashed(keys, salt=1) % np.uint64(2)
    assert (low == other).mean() == pytest.approx(0.5, abs=0.01)
    assert len(np.unique(hashed(np.arange(-5, 1000), salt=3))) == 1005
