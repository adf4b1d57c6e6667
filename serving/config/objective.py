"""The part of the configuration that says what dollars, seconds and energy count against quality."""

from typing import Annotated, Literal

from pydantic import Field

from highwayman.env.cost.objective import MOST_POINTS
from highwayman.serving.config.strict import Strict

Alias = Literal["auto", "auto-cheap", "auto-quality"]
Points = Annotated[float, Field(ge=0, le=MOST_POINTS)]


class ObjectiveConfig(Strict):
    """How many points of quality (one is .01) a request must be better by for each unit that it takes more."""

    points_per_usd: dict[Alias, Points] = Field(
        default_factory=dict, description="by alias; what is not given is derived from the pool's prices, once"
    )
    points_per_s: Points = Field(default=0.0, description="Points for each second that an answer takes.")
    points_per_wh: Points = Field(default=0.0, description="Points for each watt-hour that an answer takes.")
