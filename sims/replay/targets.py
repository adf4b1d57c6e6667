"""Rounds with what the policies in question would have done in them: from an event log, or from a bandit log."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from highwayman.bandit.policy import Policy
from highwayman.env.reward import RewardSpec
from highwayman.feedback.fold.learner import Learner
from highwayman.sims.logs.judged import Judged
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.replay.event_log import Pages, Replay, Survey
from highwayman.sims.replay.progressive import Progressive
from highwayman.sims.replay.rounds import Counts, WhatIf

MakePolicy = Callable[[int, str], Policy]  # number of features and their encoder's fingerprint -> at the prior


@dataclass(frozen=True, slots=True)
class EventLog:
    """An event log to be replayed, as production folds it."""

    pages: Pages
    found: Survey
    spec: RewardSpec
    kept_s: float
    arms: tuple[str, ...] = ()  # of the pool, beside those on the log

    def asked(self, policies: Sequence[MakePolicy], what_if: WhatIf, counts: Counts) -> Iterator[Judged]:
        """Yield the rounds in the order of their decisions; `counts` is filled when all have been taken.

        Each policy folds the log for itself, all of them side by side.
        """
        replays = [Replay(self._learner(make), what_if, kept_s=self.kept_s) for make in policies]
        for chunks in zip(*(replay.chunks(self.pages, self.found) for replay in replays), strict=True):
            yield Judged.of(chunks[0].log, [chunk.target for chunk in chunks])
        counts.add(replays[0].counts)

    def _learner(self, make: MakePolicy) -> Callable[[], Learner]:
        found = self.found

        def learner() -> Learner:
            return Learner(make(found.d, found.encoder), self.spec, fingerprint=found.encoder, arms=self.arms)

        return learner


def progressed(
    chunks: Iterable[LoggedData], policies: Sequence[MakePolicy], *, floor: float, frozen_for: int
) -> Iterator[Judged]:
    """Yield a bandit log's rounds; the policies learn from what was logged as it comes.

    Args:
        chunks: the log.
        policies: are made when the first chunk says how many features there are.
        floor: the exploration floor of all of them.
        frozen_for: rounds between two updates.
    """
    asking: list[Progressive] = []
    for chunk in chunks:
        if not asking:
            asking = [
                Progressive(make(chunk.d, chunk.encoder), floor=floor, frozen_for=frozen_for) for make in policies
            ]
        yield Judged.of(chunk, [one(chunk) for one in asking])
