"""A log with the probabilities that policies in question would have had beside it, kept on disk while it is judged."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

from highwayman.env.arrow import file_errors
from highwayman.env.types import Floats
from highwayman.sims.logs.logged import Bools, Indices, LogError, LoggedData, no_floats
from highwayman.sims.logs.logged_file import LogFile, write_log


@dataclass(frozen=True, slots=True, eq=False)
class LogWithTargets(LoggedData):
    """A log whose rounds also say what each of T policies would have done."""

    targets: tuple[Floats, ...] = ()  # T arrays (n, K), floor included
    # T arrays (n,): how much likelier each policy makes the other draws that a round's reward was said of as well.
    others: tuple[Floats, ...] = ()
    draws: Floats = field(default_factory=no_floats)  # (n,) how many draws that was said of, this one among them

    def take(self, rounds: slice | Indices | Bools) -> Self:
        """Return the log of some of the rounds."""
        # Named in full: a slotted dataclass is made anew, and a bare super() would look for the class it was before.
        taken = super(LogWithTargets, self).take(rounds)
        return replace(
            taken,
            targets=tuple(target[rounds] for target in self.targets),
            others=tuple(ratio[rounds] for ratio in self.others),
            draws=self.draws[rounds],
        )

    @classmethod
    def from_log(
        cls,
        log: LoggedData,
        targets: Sequence[Floats],
        others: Sequence[Floats] | None = None,
        draws: Floats | None = None,
    ) -> Self:
        """Return the log with the targets' probabilities beside it; left out: every reward is of one draw."""
        columns = {column.name: getattr(log, column.name) for column in fields(LoggedData)}
        alone = np.ones(log.n)
        ratios = [alone for _ in targets] if others is None else others
        return cls(**columns, targets=tuple(targets), others=tuple(ratios), draws=alone if draws is None else draws)

    def draws_per_reward(self) -> Floats:
        """Return of how many draws each reward was said, shape (n,)."""
        return self.draws

    def seen_by(self, number: int) -> Self:
        """Return the rounds with propensities so that target `number`'s ratios are of all draws a reward speaks of."""
        with np.errstate(divide="ignore"):  # what the policy would never have done there has a ratio of 0
            return replace(self, propensities=self.propensities / self.others[number])

    def without_shared_rewards(self) -> Self:
        """Return the log without the rewards that were said of several draws: no single one earned them."""
        return replace(self, rewards=np.where(self.draws > 1, np.nan, self.rewards))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return one log of several over the same arms and targets, one after another."""
        log = super(LogWithTargets, cls).joined(parts)
        targets = tuple(map(np.concatenate, zip(*(part.targets for part in parts), strict=True)))
        others = tuple(map(np.concatenate, zip(*(part.others for part in parts), strict=True)))
        return replace(log, targets=targets, others=others, draws=np.concatenate([part.draws for part in parts]))


def target_probs(number: int) -> Callable[[LoggedData], Floats]:
    """Return what reads the probabilities of target `number`, (n, K), off a judged log.

    It raises TypeError for any other log.
    """

    def read(log: LoggedData) -> Floats:
        if not isinstance(log, LogWithTargets):
            raise TypeError("only a judged log says what another policy would have done")
        return log.targets[number]

    return read


class TargetStore(AbstractContextManager["TargetStore"]):
    """Rounds and targets in a folder of the system's for temporary files: read as often as need be, then gone.

    To be used as a context manager: the folder goes at its end, also after an error.
    """

    def __init__(self, count: int) -> None:
        """Take the number of targets."""
        self._folder = tempfile.TemporaryDirectory(prefix="highwayman-")
        self._log = Path(self._folder.name) / "rounds.parquet"
        self._files = [Path(self._folder.name) / f"target-{number}" for number in range(count)]
        self.rounds = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the folder."""
        self._folder.cleanup()

    def fill(self, targets: Iterable[LogWithTargets]) -> None:
        """Put the rounds down, chunk by chunk; `rounds` is then how many there are.

        Raises:
            LogError: a round could not have happened, or the disk is full. What `targets` raises is passed on.
            ValueError: a chunk has another number of targets, or targets of another shape than (n, K).
            ConfigError: pyarrow is missing.
        """
        chunks = (chunk for chunk in targets if chunk.n)
        first = next(chunks, None)
        if first is None:
            self.rounds = 0
            return
        with ExitStack() as stack:
            files: list[BinaryIO] = []
            for path in self._files:
                files.append(path.open("wb"))
                stack.callback(_close, files[-1])
            self.rounds = write_log(self._log, _with_targets_written(chain([first], chunks), files))

    def chunks(self) -> Iterator[LogWithTargets]:
        """Yield the rounds from the beginning."""
        if not self.rounds:
            return
        log, first = LogFile(self._log), 0
        shape = self.rounds, len(log.heading().arms) + 2
        targets = [np.memmap(path, dtype=np.float64, mode="r", shape=shape) for path in self._files]
        for chunk in log.chunks():
            rounds = slice(first, first + chunk.n)
            columns = [np.array(target[rounds]) for target in targets]
            probs, others = [part[:, :-2] for part in columns], [part[:, -2] for part in columns]
            yield LogWithTargets.from_log(chunk, probs, others, columns[0][:, -1] if columns else None)
            first += chunk.n


def _with_targets_written(targets: Iterable[LogWithTargets], files: Sequence[BinaryIO]) -> Iterator[LoggedData]:
    """Yield the rounds, each chunk once its targets are in the files."""
    for chunk in targets:
        if len(chunk.targets) != len(files):
            raise ValueError(f"a chunk has {len(chunk.targets)} targets, not {len(files)}")
        for probs, others, file in zip(chunk.targets, chunk.others, files, strict=True):
            if probs.shape != chunk.penalties.shape:
                raise ValueError(f"a target has shape {probs.shape}, {chunk.n} rounds have {chunk.penalties.shape}")
            with file_errors(Path(file.name), LogError):
                file.write(np.column_stack([probs, others, chunk.draws]).astype(np.float64, copy=False).data)
                file.flush()
        yield chunk


def _close(file: BinaryIO) -> None:
    with suppress(OSError):  # a flush has reported already what it could not write, and closing would report it again
        file.close()
