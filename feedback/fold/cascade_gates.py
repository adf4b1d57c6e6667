"""What events of the log teach of answers that were looked at: each once, and taken away again if it is taken back."""

from collections.abc import Sequence

from highwayman.bandit.cascade.teaching import teach_gates
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


def teach_changes(tally: Tally, tenant: str, before: Credit, after: Credit) -> None:
    """Teach a tenant's gates what lies between two rewards of one decision: none, one, or another instead."""
    if before == after:
        return
    for (credit, stages), sign in ((before, -1.0), (after, 1.0)):
        if credit is not None and stages and credit.reward.weight:
            weight, quality = sign * credit.reward.weight, credit.reward.quality
            teach_gates(
                tally.own_gates(tenant),
                stages,
                credit.arm,
                weight=weight,
                weighted=weight * quality,
                squared=weight * quality**2,
            )
