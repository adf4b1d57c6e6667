"""A log with the probabilities that policies in question would have had beside it, kept on disk while it is judged."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import Bools, Indices, LoggedData
from highwayman.sims.logs.logged_file import LogFile, write_log


@dataclass(frozen=True, slots=True, eq=False)
class Judged(LoggedData):
    """A log whose rounds also say what each of T policies would have done."""

    targets: tuple[Floats, ...] = ()  # T arrays (n, K), floor included

    def take(self, rounds: slice | Indices | Bools) -> Self:
        """Return the log of some of the rounds."""
        # Named in full: a slotted dataclass is made anew, and a bare super() would look for the class it was before.
        taken = super(Judged, self).take(rounds)
        return replace(taken, targets=tuple(target[rounds] for target in self.targets))

    @classmethod
    def of(cls, log: LoggedData, targets: Sequence[Floats]) -> Self:
        """Return the log with the targets' probabilities beside it."""
        given = {name: getattr(log, name) for name in log.__dataclass_fields__}
        return cls(**given, targets=tuple(targets))


def target(number: int) -> Callable[[LoggedData], Floats]:
    """Return what reads the probabilities of target `number` off a judged log."""

    def read(log: LoggedData) -> Floats:
        if not isinstance(log, Judged):
            raise TypeError("only a judged log says what another policy would have done")
        return log.targets[number]

    return read


class Judgements(AbstractContextManager["Judgements"]):
    """Rounds and targets in a folder of the system's for temporary files: read as often as need be, then gone."""

    def __init__(self, count: int) -> None:
        """Take the number of targets."""
        self._count = count
        self._folder = tempfile.TemporaryDirectory(prefix="highwayman-")
        self._log = Path(self._folder.name) / "rounds.parquet"
        self._files = [Path(self._folder.name) / f"target-{number}" for number in range(count)]
        self.rounds = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the folder."""
        self._folder.cleanup()

    def fill(self, judged: Iterable[Judged]) -> None:
        """Put the rounds down, chunk by chunk."""
        files = [path.open("wb") for path in self._files]
        try:
            self.rounds = write_log(self._log, _put_aside(judged, files))
        finally:
            for file in files:
                file.close()

    def chunks(self) -> Iterator[Judged]:
        """Yield the rounds from the beginning."""
        if not self.rounds:
            return
        log, first = LogFile(self._log), 0
        shape = self.rounds, len(log.heading().arms)
        targets = [np.memmap(path, dtype=np.float64, mode="r", shape=shape) for path in self._files]
        for chunk in log.chunks():
            rounds = slice(first, first + chunk.n)
            yield Judged.of(chunk, [np.array(target[rounds]) for target in targets])
            first += chunk.n


def _put_aside(judged: Iterable[Judged], files: Sequence[BinaryIO]) -> Iterator[LoggedData]:
    for chunk in judged:
        for probs, file in zip(chunk.targets, files, strict=True):
            file.write(np.ascontiguousarray(probs).tobytes())
        yield chunk
