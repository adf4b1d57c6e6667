"""What was served and graded, round by round, on a file that a later run picks up."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self


class OtherRun(Exception):
    """The file on disk belongs to a run with other settings."""


@dataclass(frozen=True, slots=True)
class Served:
    """One graded answer. Quality is 1 where the checker accepts it, else 0."""

    arm: str
    quality: float
    cost_usd: float | None  # None: the arm has no price
    latency_s: float
    answer: str


@dataclass(frozen=True, slots=True)
class Round:
    """One prompt: the answer the router chose, and on compared rounds what every arm makes of it."""

    index: int
    kind: str
    prompt: str
    expected: str
    decision: str
    propensity: float
    chosen: Served
    every_arm: Mapping[str, Served]  # empty where the arms were not compared; the chosen arm's entry is `chosen`

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Return the round written as `record`."""
        chosen = Served(**record.pop("chosen"))
        every_arm = {arm: Served(**served) for arm, served in record.pop("every_arm").items()}
        return cls(**record, chosen=chosen, every_arm=every_arm)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What makes two runs the same run. `arms` are those of the pool, in its order."""

    seed: int
    rounds: int
    arms: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.rounds} prompts, seed {self.seed}, arms {', '.join(self.arms)}"


class RoundsFile:
    """The rounds done so far, appended to a file of JSON lines whose first line holds the settings."""

    def __init__(self, path: Path, settings: RunSettings, done: Sequence[Round]) -> None:
        self._path = path
        self.settings = settings
        self._done = {done_round.index: done_round for done_round in done}

    @property
    def rounds(self) -> list[Round]:
        """Every finished round, in order."""
        return [self._done[index] for index in sorted(self._done)]

    def has(self, index: int) -> bool:
        """Return whether round `index` is finished."""
        return index in self._done

    def add(self, finished: Round) -> None:
        """Append a finished round."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(finished), ensure_ascii=False) + "\n")
        self._done[finished.index] = finished


def open_rounds(path: Path, settings: RunSettings, *, fresh: bool) -> RoundsFile:
    """Return the journal at `path`, continued where its settings are the same, begun anew where asked.

    Raises:
        OtherRun: the file was written with other settings.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [] if fresh or not path.exists() else path.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]  # a run that was killed may leave half a line
    if not whole:
        whole = [json.dumps(asdict(settings)) + "\n"]
    path.write_text("".join(whole), encoding="utf-8")
    head, *records = map(json.loads, whole)
    found = RunSettings(head["seed"], head["rounds"], tuple(head["arms"]))
    if found != settings:
        raise OtherRun(f"{path} holds a run of {found}; this one is of {settings}: add --fresh to begin anew")
    return RoundsFile(path, settings, [Round.from_json(record) for record in records])
