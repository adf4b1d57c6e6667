"""What events of the log teach of answers that were looked at: each once, and taken away again if it is taken back."""

from collections.abc import Sequence

from highwayman.bandit.cascade.teaching import teach_gates
from highwayman.bandit.policy import HalfLife
from highwayman.env.types import CascadeStage, Decision, Outcome
from highwayman.feedback.fold.join import AttributedReward
from highwayman.feedback.fold.tally import Tally

Credit = tuple[AttributedReward | None, Sequence[CascadeStage]]  # a reward, and the answers that were looked at


def count_looks(tally: Tally, decision: Decision, outcome: Outcome) -> None:
    """Count what looking at answers made of what had been expected of them, once decision and outcome are known.

    Only the latest looks are kept, as numbers without a name, so an erased one is not taken away again.
    """
    for stage in outcome.stages:
        tally.own_gates(decision.tenant).on_look(stage.arm, stage.signals)


def teach_changes(
    tally: Tally, decision: Decision, before: Credit, after: Credit, *, half_life: HalfLife | None
) -> None:
    """Teach a tenant's gates what lies between two rewards of one decision: none, one, or another instead.

    What they know fades at the half-life of the policy that they judge with.
    """
    if before == after:
        return
    is_new = before[0] is None or not (before[1] and before[0].reward.weight)
    gates = tally.own_gates(decision.tenant)
    for (credit, stages), sign in ((before, -1.0), (after, 1.0)):
        if credit is not None and stages and credit.reward.weight:
            weight, quality = sign * credit.reward.weight, credit.reward.quality
            counts = gates.weigh(credit.arm, decision.at, new=is_new and sign > 0, half_life=half_life)
            sums = {"weight": weight, "weighted": weight * quality, "squared": weight * quality**2}
            teach_gates(gates, stages, credit.arm, **sums, counts=counts)


def discount_gates(tally: Tally, tenant: str, arm: str, share: float) -> None:
    """Let what a tenant's gates know of an arm that has changed count for a share."""
    gates = tally.gates_for(tenant)
    if gates.to_json():
        tally.own_gates(tenant).discount(arm, share)
