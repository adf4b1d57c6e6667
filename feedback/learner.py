"""The fold of the log into learned state: no await, no Redis, no clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from highwayman.bandit.policy import Policy
from highwayman.env.reward import RewardSpec
from highwayman.env.types import Decision, Outcome
from highwayman.feedback.events import Event
from highwayman.feedback.join import START, EventId, Record, changes, credit, order
from highwayman.feedback.tally import Tally


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the log with its id; an outcome or feedback comes with its decision's record, if there is one."""

    id: EventId
    event: Event
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Learned state and the id of the last event in it: a cached prefix of the fold."""

    position: EventId
    policy: bytes
    tally: bytes


@dataclass(frozen=True, slots=True)
class Step:
    """What a step came to: whether the policy learned anything, and the events it refused, each with the reason."""

    learned: bool
    refused: tuple[tuple[EventId, str], ...] = ()


class Learner:
    """A policy and a tally at a position of the log.

    Every event at or before the position is skipped, so reading some of them again changes nothing.
    """

    def __init__(self, policy: Policy, spec: RewardSpec, *, fingerprint: str, arms: Iterable[str]) -> None:
        """Start at the beginning of the log.

        Args:
            policy: at its prior.
            spec: turns what was said into rewards.
            fingerprint: of the encoder; decisions on other features are counted but not learned from.
            arms: names of the pool's arms; others met on the log are added as they come.
        """
        self._policy = policy
        self._spec = spec
        self._fingerprint = fingerprint
        self.tally = Tally()
        self.position: EventId = START
        for name in arms:
            self._policy.add_arm(name)
            self.tally.arm(name)

    def step(self, entries: Sequence[Entry]) -> Step:
        """Fold `entries`, which are in log order; an event the policy refuses changes nothing and is told."""
        learned, refused = False, []
        for entry in entries:
            if order(entry.id) <= order(self.position):
                continue
            try:
                learned |= self._fold(entry)
            except (ValueError, ArithmeticError) as error:
                refused.append((entry.id, f"{type(error).__name__}: {error}"))
            self.position = entry.id
        return Step(learned, tuple(refused))

    def snapshot(self) -> Snapshot:
        """Return the state as it stands."""
        return Snapshot(self.position, self._policy.state(), self.tally.to_json())

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from `snapshot`. Raises SnapshotError and changes nothing if the policy cannot use it."""
        arms = list(self.tally.arms)
        self._policy.restore(snapshot.policy)
        self.tally = Tally.from_json(snapshot.tally)
        self.position = snapshot.position
        for name in arms:
            self._policy.add_arm(name)
            self.tally.arm(name)

    def _fold(self, entry: Entry) -> bool:
        """Teach the policy what the event changes, then count it; return whether there was anything to learn."""
        event, record = entry.event, entry.record
        if isinstance(event, Decision):
            self.tally.decided(event)
            return False
        change = changes(record, entry.id, self._spec) if record is not None else ()
        known_features = record is not None and record.decision.context.fingerprint == self._fingerprint
        if change and known_features:
            for one in change:
                self._policy.add_arm(one.arm)
            self._policy.learn(change)
        if isinstance(event, Outcome):
            self.tally.ended(event)
        if record is not None:  # otherwise its decision has expired or never reached the log
            self.tally.changed(change)
            self._count_answers(record, entry.id)
        return bool(change) and known_features

    def _count_answers(self, record: Record, event_id: EventId) -> None:
        """Count answers that have feedback standing: this event may have given, moved or taken the last of it."""
        for inclusive, sign in ((False, -1), (True, 1)):
            known = credit(record, self._spec, upto=event_id, inclusive=inclusive)
            self.tally.arm(known.arm).feedback += sign * (known.reward.weight > 0)
