"""The fold of the log into learned state: no await, no Redis, no clock."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from highwayman.bandit.policy import HasHalfLife, LearnsPreferences, Policy, SupportsDiscount
from highwayman.bandit.tenants import TenantPolicies
from highwayman.env.encoder.features.tags import named_calls_teach, translated
from highwayman.env.reward import RewardSpec
from highwayman.env.types import (
    DEFAULT_TENANT,
    NAMED_MODES,
    Context,
    Control,
    ControlKind,
    Decision,
    Feedback,
    Outcome,
    PreferenceChange,
)
from highwayman.feedback.fold.cascade_gates import Credit, discount_gates, teach_changes
from highwayman.feedback.fold.change_notices import ChangeNotices
from highwayman.feedback.fold.event_counts import count_answers, count_event
from highwayman.feedback.fold.join import (
    AttributedReward,
    attribute_reward,
    first_arms_reward,
    preference_changes,
    reward_changes,
    stages_at,
)
from highwayman.feedback.fold.rollbacks import VoidedRange, effective_rollbacks, voided_range
from highwayman.feedback.fold.tally import Tally
from highwayman.feedback.log.event_id import START, EventId, sort_key
from highwayman.feedback.log.events import Event
from highwayman.feedback.log.record import LogPoint, Record

_ABOUT_A_DECISION = (ControlKind.ERASURE, ControlKind.QUARANTINE)


class LogEntry(NamedTuple):
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
    rollbacks: tuple[VoidedRange, ...] = ()  # all that had been met
    score: bytes = b""  # of a challenger, against who decided; empty: nobody asked
    verdict: str = ""  # what the score comes to, as JSON

    def is_prefix_of(self, rollbacks: Sequence[VoidedRange]) -> bool:
        """Return whether a fold of the log with these rollbacks passes through this state."""
        reached = [span for span in effective_rollbacks(rollbacks) if sort_key(span.after) < sort_key(self.position)]
        return list(effective_rollbacks(self.rollbacks)) == reached


@dataclass(frozen=True, slots=True)
class Rewind:
    """An instruction of event `at`: fold again from `position` or before it, knowing these rollbacks."""

    at: EventId
    position: EventId
    rollbacks: tuple[VoidedRange, ...]


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step came to: whether the policy learned, the events it refused with the reason, and where to go back to.

    With a `rewind` the step ended before the event that asked for it.
    """

    learned: bool
    rejected: tuple[tuple[EventId, str], ...] = ()
    rewind: Rewind | None = None
    # Arms that have changed: to be put on the log, and followed when met there.
    detected_changes: tuple[Control, ...] = ()


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
            spec: turns feedback into rewards.
            fingerprint: of the encoder; decisions on other features are counted but not learned from.
            arms: names of the pool's arms; others met on the log are added as they come.
            make: returns another such policy, for another tenant; without it, one policy learns from all of them.
        """
        self._policies = TenantPolicies(policy, make)
        self._spec = spec
        self._fingerprint = fingerprint
        self.tally = Tally()
        self.notices = ChangeNotices(spec, fingerprint)
        self.position: EventId = START
        self._rollbacks: tuple[VoidedRange, ...] = ()
        self._voids: tuple[VoidedRange, ...] = ()
        for name in arms:
            self.add_arm(name)

    @property
    def policy(self) -> Policy:
        """The default tenant's policy as far as it has learned; to be read, not updated."""
        return self._policies.policy_for(DEFAULT_TENANT)

    def policy_for(self, tenant: str) -> Policy:
        """Return a tenant's policy as far as it has learned; to be read, not updated."""
        return self._policies.policy_for(tenant)

    @property
    def fingerprint(self) -> str:
        """Of the encoder whose features are learned from."""
        return self._fingerprint

    def attribute_reward(self, record: Record) -> AttributedReward | None:
        """Return the reward of a decision's answer by all of the log, as far as rollbacks are known."""
        return attribute_reward(record, self._spec, voided=self._voids)

    def step(self, entries: Sequence[LogEntry]) -> StepResult:
        """Fold `entries`, which are in log order; an event the policy refuses changes nothing and is reported."""
        learned, reached = False, sort_key(self.position)
        refused: list[tuple[EventId, str]] = []
        for entry in entries:
            place = sort_key(entry.id)
            if place <= reached:
                continue
            try:
                if isinstance(entry.event, Control):
                    rewind = self._rewind(entry)
                    if rewind is not None:
                        return StepResult(learned, tuple(refused), rewind, self.notices.drain())
                learned |= self._fold(entry)
            except (ValueError, ArithmeticError, LookupError) as error:
                refused.append((entry.id, f"{type(error).__name__}: {error}"))
            self.position, reached = entry.id, place
        return StepResult(learned, tuple(refused), detected_changes=self.notices.drain())

    def snapshot(self, *, with_policy: bool = True) -> Snapshot:
        """Return the state as it stands; the policy's, by far the largest part, may be left out."""
        policy = self._policies.state() if with_policy else b""
        return Snapshot(self.position, policy, self.tally.to_json(), self._rollbacks)

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from `snapshot`. Raises SnapshotError and changes nothing if the policy cannot use it."""
        arms = list(self.tally.arms)
        tally = Tally.from_json(snapshot.tally, at=snapshot.position)
        self._policies.restore(snapshot.policy)
        self.tally, self.position = tally, snapshot.position
        self.set_rollbacks(snapshot.rollbacks)
        for name in arms:
            self.add_arm(name)

    def set_rollbacks(self, rollbacks: Sequence[VoidedRange]) -> None:
        """Fold from here on knowing all these rollbacks, wherever they stand on the log."""
        self._rollbacks = tuple(rollbacks)
        self._voids = effective_rollbacks(self._rollbacks)

    def on_decision(self, decision: Decision) -> None:
        """Look at a decision before anything is learned from it; here nobody does."""

    def on_reward(self, decision: Decision, before: Credit, after: Credit) -> None:
        """Look at what an event changed of a decision's reward, before it is learned; here nobody does."""

    def add_arm(self, name: str) -> None:
        """Let the policy choose an arm that no event has named yet; one it knows stays as it is."""
        self._policies.add_arm(name)
        self.tally.arm(name)

    def _rewind(self, entry: LogEntry) -> Rewind | None:
        """Return where a rollback that has not been followed yet leads back to."""
        span = voided_range(entry.event, entry.id)
        if span is None or span in self._rollbacks:
            return None
        return Rewind(entry.id, span.after, (*self._rollbacks, span))

    def _fold(self, entry: LogEntry) -> bool:
        """Teach the policy what the event changes, then count it; return whether there was anything to learn."""
        event, record = entry.event, entry.record
        if isinstance(event, Decision):
            self.on_decision(event)
        elif isinstance(event, Control):
            self.tally.history.changes.add(event)
            if event.kind is ControlKind.ARM_ADDED:
                self.add_arm(str(event.detail["arm"]))
                return True
            if event.kind is ControlKind.CHANGE_NOTICED:
                return not any(entry.id in span for span in self._voids) and self._discount(event)
        learned = self._learn(record, entry.id) if record is not None and record.feedback else False
        self._count(entry)
        return learned

    def _count(self, entry: LogEntry) -> None:
        """Count what the event says of decisions and calls; what it says of rewards is learned already."""
        count_event(self.tally, entry.id, entry.event, entry.record, fingerprint=self._fingerprint)

    def _learn(self, record: Record, event_id: EventId) -> bool:
        """Teach the policy and the tally what the event changed of its decision's reward."""
        decision = record.decision
        if decision is None:
            return False
        points = LogPoint(event_id, inclusive=False), LogPoint(event_id)
        before, after = (attribute_reward(record, self._spec, point, voided=self._voids) for point in points)
        looked_before, looked = (stages_at(record, point) for point in points)
        self.on_reward(decision, (before, looked_before), (after, looked))
        context = self.context_of(decision)
        features = (decision.context if context is None else context).features
        changes = reward_changes(before, after, features, at=decision.at)
        is_drawn = self._was_drawn_or_told_apart(decision)
        teaches = context is not None and is_drawn
        comparisons = preference_changes(before, after, features, at=decision.at) if teaches else ()
        compared = self._compare(decision.tenant, comparisons)
        lessons = changes
        if looked:
            firsts = first_arms_reward(before, looked_before), first_arms_reward(after, looked)
            lessons = reward_changes(*firsts, features, at=decision.at)
            if is_drawn:
                policy = self._policies.policy_for(decision.tenant)
                half_life = policy.half_life if isinstance(policy, HasHalfLife) else None
                teach_changes(self.tally, decision, (before, looked_before), (after, looked), half_life=half_life)
        if lessons and teaches:
            for lesson in lessons:
                self._policies.add_arm(lesson.arm)
            policy = self._policies.policy_for(decision.tenant)
            # Statements are about the answer that was served: of a rejected one they say nothing to a monitor.
            if looked and looked[0].went_on:
                policy.learn(lessons)
            else:
                self.notices.teach(policy, decision, lessons, before=before, after=after)
        self.tally.on_reward_changes(changes)
        self.tally.calibration_counts.update(before, after, self._spec, decision)
        self.tally.on_reward(decision, before, after, changed=bool(changes))
        count_answers(self.tally, before, after)
        return (bool(lessons) or compared) and teaches

    def context_of(self, decision: Decision) -> Context | None:
        """Return a decision's context in the columns that are learned from, None for features of another encoder.

        A tag that was declared after the decision is unknown of it.
        """
        return translated(decision.context, self._fingerprint)

    def _was_drawn_or_told_apart(self, decision: Decision) -> bool:
        """Return whether what is said of the answer may teach: was it drawn, or does a feature say that it was not?"""
        drawn = decision.mode not in NAMED_MODES or bool(decision.context.shadow_of)
        return drawn or (named_calls_teach(decision.context.fingerprint) and named_calls_teach(self._fingerprint))

    def _compare(self, tenant: str, changes: Sequence[PreferenceChange]) -> bool:
        """Teach preferences to a policy that learns from them; return whether there was anything to learn."""
        if not changes:
            return False
        policy = self._policies.policy_for(tenant)
        if not isinstance(policy, LearnsPreferences):
            return False
        for change in changes:
            self._policies.add_arm(change.better)
            self._policies.add_arm(change.worse)
        policy.learn(changes)
        return True

    def _discount(self, event: Control) -> bool:
        """Let the feedback on an arm that has changed count for little; return whether the policy can."""
        tenant = str(event.detail.get("tenant", DEFAULT_TENANT))
        policy = self._policies.policy_for(tenant)
        if not isinstance(policy, SupportsDiscount):
            return False
        arm, share = str(event.detail["arm"]), float(event.detail["share"])
        self.add_arm(arm)
        policy.discount(arm, share=share)
        discount_gates(self.tally, tenant, arm, share)
        self.notices.on_discounted(tenant, arm)
        return True


def needs_record(event: Event) -> bool:
    """Return whether what the event changes depends on its decision's record: an outcome's dollars are its tenant's."""
    return isinstance(event, Feedback | Outcome) or (isinstance(event, Control) and event.kind in _ABOUT_A_DECISION)
