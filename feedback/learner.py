"""The fold of the log into learned state: no await, no Redis, no clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from highwayman.bandit.policy import Policy
from highwayman.env.reward import RewardSpec
from highwayman.env.types import Decision, Outcome, RewardChange
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

    def step(self, entries: Sequence[Entry]) -> bool:
        """Fold `entries`, which are in log order; return whether the policy learned anything."""
        new = [entry for entry in entries if order(entry.id) > order(self.position)]
        learned = [change for entry in new for change in self._fold(entry)]
        if learned:
            self._policy.learn(learned)
        if new:
            self.position = new[-1].id
        return bool(learned)

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

    def _fold(self, entry: Entry) -> Sequence[RewardChange]:
        """Count the event; return what the policy has to learn from it."""
        event = entry.event
        if isinstance(event, Decision):
            self.tally.decided(event)
            return ()
        if isinstance(event, Outcome):
            self.tally.ended(event)
        if entry.record is None:  # its decision has expired or never reached the log
            return ()
        change = changes(entry.record, entry.id, self._spec)
        self.tally.changed(change)
        self._count_answers(entry.record, entry.id)
        if entry.record.decision.context.fingerprint != self._fingerprint:
            return ()
        for one in change:
            self._policy.add_arm(one.arm)
        return change

    def _count_answers(self, record: Record, event_id: EventId) -> None:
        """Count answers that have feedback standing: this event may have given, moved or taken the last of it."""
        for inclusive, sign in ((False, -1), (True, 1)):
            known = credit(record, self._spec, upto=event_id, inclusive=inclusive)
            self.tally.arm(known.arm).feedback += sign * (known.reward.weight > 0)
