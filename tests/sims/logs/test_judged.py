import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.env.types import Floats
from highwayman.sims.logs import logged_file
from highwayman.sims.logs.judged import LogWithTargets, TargetStore, target_probs
from highwayman.sims.logs.logged import LogError, LoggedData
from tests.sims.ope.estimators.logs import log_of, random_log

LOG = random_log(np.random.default_rng(0), n=100)
TARGETS = tuple(np.random.default_rng(1).dirichlet(np.ones(3), (2, 100)))
WHOLE = LogWithTargets.from_log(LOG, TARGETS)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have temporary folders made where the test can see them."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def cut(judged: LogWithTargets, *sizes: int) -> Iterator[LogWithTargets]:
    ends = np.cumsum([0, *sizes]).tolist()
    for start, end in zip(ends, [*ends[1:], judged.n], strict=True):
        yield judged.take(slice(start, end))


def assert_same(found: LoggedData, wanted: LoggedData) -> None:
    assert (found.arms, found.encoder) == (wanted.arms, wanted.encoder)
    for name in ("contexts", "eligible", "actions", "propensities", "rewards", "costs_usd", "penalties", "sessions"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    for number in range(len(getattr(wanted, "targets", ()))):
        read = target_probs(number)
        np.testing.assert_array_equal(read(found), read(wanted))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=2), st.integers(1, 120))
def test_the_rounds_and_what_was_judged_come_back_as_they_were_in_whatever_chunks(sizes: list[int], rows: int) -> None:
    with pytest.MonkeyPatch.context() as patched, TargetStore(2) as judged:
        patched.setattr(logged_file.LogFile.chunks, "__defaults__", (rows,))
        judged.fill(cut(WHOLE, *sizes))
        chunks = list(judged.chunks())
    assert judged.rounds == 100
    assert [chunk.n for chunk in chunks] == [min(rows, 100 - start) for start in range(0, 100, rows)]
    assert_same(LogWithTargets.joined(chunks), WHOLE)


def test_they_can_be_read_again_and_side_by_side() -> None:
    with TargetStore(2) as judged:
        judged.fill([WHOLE])
        for one, other in zip(judged.chunks(), judged.chunks(), strict=True):
            assert_same(one, other)
        assert_same(LogWithTargets.joined(list(judged.chunks())), WHOLE)


def test_targets_of_lesser_precision_come_back_in_double() -> None:
    single = [one.astype(np.float32) for one in TARGETS]
    with TargetStore(2) as judged:
        judged.fill([LogWithTargets.from_log(LOG, single)])
        (chunk,) = judged.chunks()
    np.testing.assert_array_equal(chunk.targets[1], single[1])
    assert chunk.targets[1].dtype == np.float64


def test_no_policy_need_be_asked_about() -> None:
    with TargetStore(0) as judged:
        judged.fill([LogWithTargets.from_log(LOG, ())])
        assert_same(*judged.chunks(), LOG)


def test_without_a_round_there_is_nothing_to_read() -> None:
    for empty in ([], [WHOLE.take(slice(0, 0))]):
        with TargetStore(2) as judged:
            judged.fill(empty)
            assert judged.rounds == 0
            assert list(judged.chunks()) == []


def test_the_folder_is_gone_afterwards(here: Path) -> None:
    with TargetStore(2) as judged:
        judged.fill([WHOLE])
        assert list(here.iterdir()) != []
    assert list(here.iterdir()) == []


def failing(chunks: Iterator[LogWithTargets], error: BaseException) -> Iterator[LogWithTargets]:
    yield from chunks
    raise error


@pytest.mark.parametrize("error", [RuntimeError("a policy failed"), KeyboardInterrupt()])
@pytest.mark.parametrize("chunks", [cut(WHOLE, 50), iter(())])
def test_the_folder_is_gone_after_an_error_too(
    here: Path, error: BaseException, chunks: Iterator[LogWithTargets]
) -> None:
    with pytest.raises(type(error)), TargetStore(2) as judged:
        judged.fill(failing(chunks, error))
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("targets", "says"),
    [
        (TARGETS[:1], "a chunk has 1 targets, not 2"),
        ((TARGETS[0], TARGETS[1][:, :2]), r"a target has shape \(100, 2\), 100 rounds have"),
    ],
)
def test_targets_that_do_not_fit_are_refused(here: Path, targets: tuple[Floats, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says), TargetStore(2) as judged:
        judged.fill([LogWithTargets.from_log(LOG, targets)])
    assert list(here.iterdir()) == []


def test_a_round_that_could_not_have_happened_is_named(here: Path) -> None:
    wrong = log_of([0, 1], [0.5, 0.0], [1.0, 1.0])
    with pytest.raises(LogError, match="row 1: propensity is 0"), TargetStore(1) as judged:
        judged.fill([LogWithTargets.from_log(wrong, [np.full((2, 2), 0.5)])])
    assert list(here.iterdir()) == []


def test_a_full_disk_is_told_as_an_error_of_the_log(here: Path) -> None:
    with TargetStore(1) as judged:
        (folder,) = here.iterdir()
        (folder / "target-0").symlink_to("/dev/full")
        with pytest.raises(LogError, match="target-0: No space left on device"):
            judged.fill([LogWithTargets.from_log(LOG, TARGETS[:1])])


def test_rounds_are_taken_with_what_was_judged_of_them() -> None:
    odd = np.arange(100) % 2 == 1
    for rounds in (odd, slice(10, 20), np.array([3, 1])):
        taken = WHOLE.take(rounds)
        assert_same(taken, LOG.take(rounds))
        np.testing.assert_array_equal(taken.targets[1], TARGETS[1][rounds])


def test_a_log_can_be_judged_anew() -> None:
    again = LogWithTargets.from_log(WHOLE, TARGETS[:1])
    assert len(again.targets) == 1
    assert_same(again, LogWithTargets.from_log(LOG, TARGETS[:1]))


def test_a_log_that_nobody_judged_says_nothing_of_another_policy() -> None:
    with pytest.raises(TypeError, match="only a judged log"):
        target_probs(0)(LOG)
