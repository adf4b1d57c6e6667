"""The part of the configuration that says what each tenant may take, and what is its own."""

from typing import Annotated

from pydantic import Field

from highwayman.feedback.trust.quotas import Quota, parse_quotas
from highwayman.serving.config.strict import Strict

EVERY_TENANT = "*"  # stands for each tenant that is not named
_Amount = Annotated[float, Field(gt=0, lt=1e6 * 1e6)]


class QuotasConfig(Strict):
    """The most of each resource in each period, for all of a tenant's keys together; null: as much as comes."""

    requests_per_minute: _Amount | None = Field(default=None, description="Requests in any 60 seconds.")
    requests_per_day: _Amount | None = Field(default=None, description="Requests in a day of UTC.")
    requests_per_month: _Amount | None = Field(default=None, description="Requests in a month of UTC.")
    tokens_per_minute: _Amount | None = Field(default=None, description="Tokens read and written in any 60 seconds.")
    tokens_per_day: _Amount | None = Field(default=None, description="Tokens read and written in a day of UTC.")
    tokens_per_month: _Amount | None = Field(default=None, description="Tokens read and written in a month of UTC.")
    usd_per_minute: Annotated[float, Field(gt=0, lt=1e6)] | None = Field(
        default=None, description="Dollars in any 60 seconds."
    )
    usd_per_day: Annotated[float, Field(gt=0, lt=1e6)] | None = Field(
        default=None, description="Dollars in a day of UTC."
    )
    usd_per_month: Annotated[float, Field(gt=0, lt=1e6)] | None = Field(
        default=None, description="Dollars in a month of UTC."
    )

    def quotas(self) -> tuple[Quota, ...]:
        """Return those that are given."""
        return parse_quotas(self.model_dump(exclude_none=True))


class TenantConfig(Strict):
    """What holds for one tenant."""

    limits: QuotasConfig = QuotasConfig()
