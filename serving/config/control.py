"""The control slice of `highwayman.yaml`: whom the router is compared with."""

from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import Field

from highwayman.env.errors import ConfigError
from highwayman.env.suggestions import did_you_mean
from highwayman.serving.config.strict import Strict

BEST_CONSTANT = "best_constant"


class ControlConfig(Strict):
    """A randomised share of the requests goes to a baseline, so that what the router saves is measured."""

    share: Annotated[float, Field(gt=0, le=0.5)] = Field(
        default=0.01, description="Share of the requests in which arms are tried at all."
    )
    baseline: str | dict[str, Annotated[float, Field(gt=0)]] = Field(
        default=BEST_CONSTANT,
        description=(
            "An arm, a split (arms with weights), or `best_constant`: the arm that would have earned most, had it "
            "answered all."
        ),
    )
    router_usd_per_day: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="Dollars that the router's own machines cost a day; savings are told after it."
    )

    def weights(self, arms: Iterable[str]) -> Mapping[str, float] | None:
        """Return the baseline's arms with their weights, None for the best constant one.

        Raises:
            ConfigError: the pool has no such arm.
        """
        if self.baseline == BEST_CONSTANT:
            return None
        weights = {self.baseline: 1.0} if isinstance(self.baseline, str) else self.baseline
        known = list(arms)
        for name in weights:
            if name not in known:
                hint = did_you_mean(name, [*known, BEST_CONSTANT])
                raise ConfigError(f"control.baseline: there is no arm {name!r} in the pool{hint}; {', '.join(known)}")
        if not weights:
            raise ConfigError(f"control.baseline: no arm is named; take one, or {BEST_CONSTANT}")
        return weights
