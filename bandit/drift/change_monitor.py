"""Watches arms while a policy learns, and reports which of them have changed."""

from collections.abc import Sequence

from highwayman.bandit.drift.change_detector import ArmChange, ChangeDetector
from highwayman.bandit.drift.source_levels import ArmLevels, SourceLevel, SourceStatement
from highwayman.bandit.policy import Policy, PredictsQuality, SupportsDiscount
from highwayman.env.types import Context, RewardChange

KEPT = 10.0  # answers that all feedback on an arm from before it changed is worth from then on


class ChangeMonitor:
    """Compares what each source says of an arm with what it said before, and has the detector judge.

    A source is expected to say what it said on the mean of its queries, and more or less by as much as the policy
    expects of this query against that one: what the policy itself expects of the arm moves with the share that each
    source has in it. It is no part of what is learned: a change that is noticed is reported, and what follows is an
    event of its own.
    """

    def __init__(self, detector: ChangeDetector) -> None:
        """Take the detector, at its start."""
        self._detector = detector
        self._levels: dict[str, ArmLevels] = {}  # by arm
        self._awaited: set[str] = set()  # arms found to have changed, that are not discounted yet

    def resume(self, arm: str) -> None:
        """Watch an arm again that was found to have changed, now that it is discounted."""
        self._awaited.discard(arm)

    def learn(
        self,
        policy: Policy,
        changes: Sequence[RewardChange],
        *,
        fingerprint: str,
        statements: Sequence[SourceStatement] | None = None,
    ) -> list[ArmChange]:
        """Teach the policy, and return which arms were found to have changed; each once until it is discounted.

        Args:
            policy: is taught.
            changes: of rewards, in log order.
            fingerprint: of the encoder that made their features.
            statements: what came new on the answer of the change that adds weight; None: each such change is one
                statement, all by one source.
        """
        arm_changes = []
        for change in changes:
            heard: Sequence[tuple[SourceStatement, float]] = ()
            if change.weight > 0 and change.arm not in self._awaited and isinstance(policy, PredictsQuality):
                new = [_only_statement(change)] if statements is None else statements
                heard = [(said, self._shift(policy, change, said.source, fingerprint)) for said in new]
            policy.learn([change])
            for said, shift in heard:
                arm_change = self._observe(change, said, shift)
                if arm_change is not None:
                    arm_changes.append(arm_change)
                    self._awaited.add(arm_change.arm)
                    del self._levels[arm_change.arm]
                    break
        return arm_changes

    def _shift(self, policy: PredictsQuality, change: RewardChange, source: str, fingerprint: str) -> float:
        """Return how much more the policy expects at the change's features than at the mean of the source's."""
        level = self._level(change, source)
        if not level.known:
            return 0.0
        here, there = (
            float(policy.expected_quality(Context(features, fingerprint, prompt_tokens=0), (change.arm,))[0])
            for features in (change.features, level.centre)
        )
        return here - there

    def _observe(self, change: RewardChange, said: SourceStatement, shift: float) -> ArmChange | None:
        """Return the change that a statement gives away, None if there is none, and count it for its source's level."""
        level, arm_change = self._level(change, said.source), None
        stake = self._levels[change.arm].stake(said.weight)
        if level.known:
            arm_change = self._detector.observe(
                level.mean + shift, _reward_change(change, said), source=said.source, first=said.first, stake=stake
            )
        level.add(said.quality, change.features, stake=stake)
        return arm_change

    def _level(self, change: RewardChange, source: str) -> SourceLevel:
        return self._levels.setdefault(change.arm, ArmLevels()).level(source, change.features)


def _only_statement(change: RewardChange) -> SourceStatement:
    """Return a change that adds weight as what one source says of the answer."""
    return SourceStatement("", change.weighted / change.weight, change.weight)


def _reward_change(change: RewardChange, said: SourceStatement) -> RewardChange:
    weighted = said.weight * said.quality
    return RewardChange(change.arm, change.features, said.weight, weighted, weighted * said.quality, change.at)


class ChangeMonitors:
    """A monitor for each tenant's policy."""

    def __init__(self, false_alarm_every: float) -> None:
        """Take how many rounds of an arm there are between two false alarms."""
        self._every = false_alarm_every
        self._of: dict[str, ChangeMonitor] = {}

    def for_tenant(self, tenant: str) -> ChangeMonitor:
        """Return the tenant's monitor."""
        return self._of.setdefault(tenant, ChangeMonitor(ChangeDetector(self._every)))


def discount_share(policy: SupportsDiscount, arm: str) -> float:
    """Return the share of an arm's feedback that is worth `KEPT` answers in all."""
    weight = policy.weight_of(arm)
    return min(1.0, KEPT / weight) if weight > 0 else 1.0
