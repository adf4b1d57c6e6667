"""What may be spent, on answers and on trying arms out, in `highwayman.yaml`."""

from typing import Annotated

from pydantic import Field

from highwayman.bandit.exploration_cap import ExplorationCap
from highwayman.bandit.probation import ProbationQuota
from highwayman.env.cost.budget import SpendLimits
from highwayman.serving.config.strict import Strict


class BudgetConfig(Strict):
    """What may be spent; null: as much as it takes."""

    usd_per_request: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Dollars that a request may cost on average."
    )
    usd_per_day: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Dollars that a day of UTC may cost, all routers together."
    )
    hard: bool = Field(
        default=False, description="Whether arms that would take the day above it are barred, even if none is left."
    )

    def limits(self) -> SpendLimits:
        """Return it as the budget takes it."""
        return SpendLimits(self.usd_per_request, self.usd_per_day, self.hard)


class ExplorationConfig(Strict):
    """What trying arms out may cost; null: what it does."""

    usd_per_day: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        description="Dollars beyond the greedy arm's that trying out may be expected to cost in a day of UTC.",
    )
    regret_per_request: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="Quality that trying out may be expected to cost a request, on average."
    )

    def cap(self) -> ExplorationCap | None:
        """Return it as decisions take it, None where nothing is capped."""
        if self.usd_per_day is None and self.regret_per_request is None:
            return None
        return ExplorationCap(usd_per_day=self.usd_per_day, regret_per_request=self.regret_per_request)


class TrialConfig(Strict):
    """What arms on probation get, whatever the policy thinks of them."""

    share: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.02,
        description="Share of the requests they may answer that arms on probation get, all of them together.",
    )
    max_usd: Annotated[float, Field(ge=0)] | None = Field(
        default=10.0, description="Dollars that an arm may cost for it; null: no end."
    )

    def quota(self) -> ProbationQuota:
        """Return it as decisions take it."""
        return ProbationQuota(self.share, self.max_usd)
