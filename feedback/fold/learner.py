"""The fold of the log into learned state: no await, no Redis, no clock."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from highwayman.bandit.drift.change_monitor import Watches, share_kept
from highwayman.bandit.policy import Compares, Doubtful, Policy
from highwayman.bandit.tenants import ByTenant
from highwayman.env.reward import RewardSpec
from highwayman.env.types import TENANT, Control, ControlKind, Decision, Feedback, Outcome, RewardChange
from highwayman.feedback.fold.join import Credit, changes, credit, preferences
from highwayman.feedback.fold.rollbacks import Void, standing, void_of
from highwayman.feedback.fold.tally import Tally
from highwayman.feedback.log.event_id import START, EventId, order  # fmt: skip
from highwayman.feedback.log.events import Event
from highwayman.feedback.log.record import Moment, Record

_ABOUT_A_DECISION = (ControlKind.ERASURE, ControlKind.SET_ASIDE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the log with its id, and its decision's record where what the event changes depends on it."""

    id: EventId
    event: Event
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Learned state and the id of the last event in it: a cached prefix of the fold."""

    position: EventId
    policy: bytes
    tally: bytes
    rollbacks: tuple[Void, ...] = ()  # all that had been met

    def begins(self, rollbacks: Sequence[Void]) -> bool:
        """Return whether a fold of the log with these rollbacks passes through this state."""
        reached = [void for void in standing(rollbacks) if order(void.after) < order(self.position)]
        return list(standing(self.rollbacks)) == reached


@dataclass(frozen=True, slots=True)
class Rewind:
    """An instruction of event `at`: fold again from `position` or before it, knowing these rollbacks."""

    at: EventId
    position: EventId
    rollbacks: tuple[Void, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """What a step came to: whether the policy learned, the events it refused with the reason, and where to go back to.

    With a `rewind` the step ended before the event that asked for it.
    """

    learned: bool
    refused: tuple[tuple[EventId, str], ...] = ()
    rewind: Rewind | None = None
    noticed: tuple[Control, ...] = ()  # arms that have changed: to be put on the log, and followed when met there


class Learner:
    """A policy and a tally at a position of the log.

    Every event at or before the position is skipped, so reading some of them again changes nothing.
    """

    def __init__(
        self,
        policy: Policy,
        spec: RewardSpec,
        *,
        fingerprint: str,
        arms: Iterable[str],
        make: Callable[[], Policy] | None = None,
    ) -> None:
        """Start at the beginning of the log.

        Args:
            policy: at its prior, the default tenant's.
            spec: turns what was said into rewards.
            fingerprint: of the encoder; decisions on other features are counted but not learned from.
            arms: names of the pool's arms; others met on the log are added as they come.
            make: returns another such policy, for another tenant; without it, one policy learns from all of them.
        """
        self._policies = ByTenant(policy, make)
        self._spec = spec
        self._fingerprint = fingerprint
        self.tally = Tally()
        self.watch: Watches | None = None  # of who tends the log; it is no part of the fold
        self._noticed: list[Control] = []
        self.position: EventId = START
        self._rollbacks: tuple[Void, ...] = ()
        self._voids: tuple[Void, ...] = ()
        for name in arms:
            self.add_arm(name)

    @property
    def policy(self) -> Policy:
        """The default tenant's policy as far as it has learned; to be asked, not taught."""
        return self._policies.of(TENANT)

    def policy_of(self, tenant: str) -> Policy:
        """Return a tenant's policy as far as it has learned; to be asked, not taught."""
        return self._policies.of(tenant)

    @property
    def fingerprint(self) -> str:
        """Of the encoder whose features are learned from."""
        return self._fingerprint

    def credit(self, record: Record) -> Credit | None:
        """Return what all of the log says of a decision's answer, as far as rollbacks are known."""
        return credit(record, self._spec, voids=self._voids)

    def step(self, entries: Sequence[Entry]) -> Step:
        """Fold `entries`, which are in log order; an event the policy refuses changes nothing and is told."""
        learned = False
        refused: list[tuple[EventId, str]] = []
        for entry in entries:
            if order(entry.id) <= order(self.position):
                continue
            try:
                rewind = self._rewind(entry)
                if rewind is not None:
                    return Step(learned, tuple(refused), rewind, self._told())
                learned |= self._fold(entry)
            except (ValueError, ArithmeticError, LookupError) as error:
                refused.append((entry.id, f"{type(error).__name__}: {error}"))
            self.position = entry.id
        return Step(learned, tuple(refused), noticed=self._told())

    def _told(self) -> tuple[Control, ...]:
        """Return what was noticed since this was last asked."""
        found, self._noticed = tuple(self._noticed), []
        return found

    def snapshot(self) -> Snapshot:
        """Return the state as it stands."""
        return Snapshot(self.position, self._policies.state(), self.tally.to_json(), self._rollbacks)

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from `snapshot`. Raises SnapshotError and changes nothing if the policy cannot use it."""
        arms = list(self.tally.arms)
        tally = Tally.from_json(snapshot.tally)
        self._policies.restore(snapshot.policy)
        self.tally, self.position = tally, snapshot.position
        self.know(snapshot.rollbacks)
        for name in arms:
            self.add_arm(name)

    def know(self, rollbacks: Sequence[Void]) -> None:
        """Fold from here on knowing all these rollbacks, wherever they stand on the log."""
        self._rollbacks = tuple(rollbacks)
        self._voids = standing(self._rollbacks)

    def add_arm(self, name: str) -> None:
        """Let the policy choose an arm that no event has named yet; one it knows stays as it is."""
        self._policies.add_arm(name)
        self.tally.arm(name)

    def _rewind(self, entry: Entry) -> Rewind | None:
        """Return where a rollback that has not been followed yet leads back to."""
        void = void_of(entry.event, entry.id)
        if void is None or void in self._rollbacks:
            return None
        return Rewind(entry.id, void.after, (*self._rollbacks, void))

    def _fold(self, entry: Entry) -> bool:
        """Teach the policy what the event changes, then count it; return whether there was anything to learn."""
        event, record = entry.event, entry.record
        if isinstance(event, Control) and event.kind is ControlKind.ARM_ADDED:
            self.add_arm(str(event.detail["arm"]))
            return True
        if isinstance(event, Control) and event.kind is ControlKind.CHANGE_NOTICED:
            return not any(entry.id in void for void in self._voids) and self._doubt(event)
        learned = self._learn(record, entry.id) if record is not None and record.decision is not None else False
        if isinstance(event, Decision):
            self.tally.decided(event)
        elif isinstance(event, Outcome):
            self.tally.ended(event)
        elif record is not None and record.erased_id == entry.id:
            self._uncount(record, Moment(entry.id, inclusive=False))
        return learned

    def _learn(self, record: Record, event_id: EventId) -> bool:
        """Teach the policy and the tally what the event changed of its decision's reward."""
        decision = record.decision
        if decision is None:
            return False
        before = credit(record, self._spec, Moment(event_id, inclusive=False), voids=self._voids)
        after = credit(record, self._spec, Moment(event_id), voids=self._voids)
        change = changes(before, after, decision.context.features, at=decision.at)
        known_features = decision.context.fingerprint == self._fingerprint
        compared = self._compare(decision, before, after) if known_features else False
        if change and known_features:
            for one in change:
                self._policies.add_arm(one.arm)
            self._teach(decision, change)
        self.tally.changed(change)
        self.tally.overlap.changed(before, after, self._spec, decision)
        self._count_answers(before, after)
        return (bool(change) or compared) and known_features

    def _compare(self, decision: Decision, before: Credit | None, after: Credit | None) -> bool:
        """Teach preferences to a policy that learns from them; return whether there was anything to learn."""
        found = preferences(before, after, decision.context.features, at=decision.at)
        if not found:
            return False
        policy = self._policies.of(decision.tenant)
        if not isinstance(policy, Compares):
            return False
        for one in found:
            self._policies.add_arm(one.better)
            self._policies.add_arm(one.worse)
        policy.learn(found)
        return True

    def _teach(self, decision: Decision, change: Sequence[RewardChange]) -> None:
        """Teach the tenant's policy, and keep what the log is to be told of arms that have changed."""
        policy = self._policies.of(decision.tenant)
        if self.watch is None:
            policy.learn(change)
            return
        whose = {} if decision.tenant == TENANT else {"tenant": decision.tenant}
        for one in self.watch.of(decision.tenant).learn(policy, change, fingerprint=self._fingerprint):
            if isinstance(policy, Doubtful):
                detail = {"arm": one.arm, "share": share_kept(policy, one.arm), "better": one.direction > 0, **whose}
                self._noticed.append(Control(decision.at, ControlKind.CHANGE_NOTICED, detail))

    def _doubt(self, event: Control) -> bool:
        """Let what was said of an arm that has changed count for little; return whether the policy can."""
        tenant = str(event.detail.get("tenant", TENANT))
        policy = self._policies.of(tenant)
        if not isinstance(policy, Doubtful):
            return False
        arm, share = str(event.detail["arm"]), float(event.detail["share"])
        self.add_arm(arm)
        policy.doubt(arm, share=share)
        if self.watch is not None:
            self.watch.of(tenant).resume(arm)
        return True

    def _count_answers(self, before: Credit | None, after: Credit | None) -> None:
        """Count answers that have feedback standing: this event may have given, moved or taken the last of it."""
        for known, sign in ((before, -1), (after, 1)):
            if known is not None and known.reward.weight > 0:
                self.tally.arm(known.arm).feedback += sign

    def _uncount(self, record: Record, moment: Moment) -> None:
        """Take an erased decision and its outcome out of the tally, as far as they had been counted."""
        if record.decision is not None and moment.knows(record.decision_id):
            self.tally.decided(record.decision, sign=-1)
        if record.outcome is not None and moment.knows(record.outcome_id):
            self.tally.ended(record.outcome, sign=-1)


def looks_back(event: Event) -> bool:
    """Return whether what the event changes always depends on its decision's record."""
    return isinstance(event, Feedback) or (isinstance(event, Control) and event.kind in _ABOUT_A_DECISION)
