"""Arms that have changed, noticed while policies are taught: notices for the log, which every learner follows."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from highwayman.bandit.drift.change_monitor import ChangeMonitors, discount_share
from highwayman.bandit.policy import Policy, SupportsDiscount
from highwayman.env.reward import RewardSpec
from highwayman.env.types import DEFAULT_TENANT, Control, ControlKind, Decision, RewardChange
from highwayman.feedback.fold.join import AttributedReward, new_statements


@dataclass(slots=True)
class ChangeNotices:
    """Teaches policies under the eyes of monitors, if there are any, and keeps what these notice."""

    spec: RewardSpec
    fingerprint: str  # of the encoder whose features are learned from
    monitors: ChangeMonitors | None = None  # of whoever maintains the log; no part of the fold
    _noticed: list[Control] = field(default_factory=list, init=False)

    def teach(
        self,
        policy: Policy,
        decision: Decision,
        changes: Sequence[RewardChange],
        *,
        before: AttributedReward | None,
        after: AttributedReward | None,
    ) -> None:
        """Teach a tenant's policy what lies between two rewards, and keep notices of arms that have changed."""
        if self.monitors is None:
            policy.learn(changes)
            return
        tenant_field = {} if decision.tenant == DEFAULT_TENANT else {"tenant": decision.tenant}
        for arm_change in self.monitors.for_tenant(decision.tenant).learn(
            policy, changes, fingerprint=self.fingerprint, statements=new_statements(before, after, self.spec)
        ):
            if isinstance(policy, SupportsDiscount):
                detail = {
                    "arm": arm_change.arm,
                    "share": discount_share(policy, arm_change.arm),
                    "better": arm_change.direction > 0,
                    **tenant_field,
                }
                self._noticed.append(Control(decision.at, ControlKind.CHANGE_NOTICED, detail))

    def on_discounted(self, tenant: str, arm: str) -> None:
        """Look for changes of an arm anew, now that what was known of it counts for little."""
        if self.monitors is not None:
            self.monitors.for_tenant(tenant).resume(arm)

    def drain(self) -> tuple[Control, ...]:
        """Return what was noticed since the last call."""
        noticed, self._noticed = tuple(self._noticed), []
        return noticed
