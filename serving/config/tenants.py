"""The part of the configuration that says what each tenant may take, and what is its own."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from highwayman.env.cost.objective import Objective
from highwayman.env.errors import ConfigError
from highwayman.env.suggestions import did_you_mean
from highwayman.env.types import Query
from highwayman.feedback.trust.quotas import Quota, parse_quotas
from highwayman.serving.config.objective import ObjectiveConfig
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
    arms: Annotated[list[str], Field(min_length=1)] | None = Field(
        default=None, description="Those that may answer it; null: all of the pool."
    )
    objective: ObjectiveConfig = Field(
        default=ObjectiveConfig(), description="In place of the router's, as far as it is given."
    )

    def query(self, query: Query) -> Query:
        """Return a query with the arms that may answer it."""
        return query if self.arms is None else replace(query, allowed=frozenset(self.arms))

    def priced(self, objective: Objective) -> Objective:
        """Return the objective of an alias as it is for this tenant."""
        own, given = self.objective, self.objective.model_fields_set
        return objective.with_overrides(
            points_per_usd={str(alias): points for alias, points in own.points_per_usd.items()}.get(objective.name),
            points_per_s=own.points_per_s if "points_per_s" in given else None,
            points_per_wh=own.points_per_wh if "points_per_wh" in given else None,
        )

    def check_arms(self, name: str, known: Collection[str]) -> None:
        """Raise ConfigError for an arm that is not in the pool; `name` is the tenant's."""
        for arm in self.arms or ():
            if arm not in known:
                raise ConfigError(f"tenants.{name}.arms: there is no arm {arm!r} in the pool{did_you_mean(arm, known)}")


def tenant_config(tenants: Mapping[str, TenantConfig], name: str) -> TenantConfig | None:
    """Return what holds for a tenant, None where nothing does."""
    return tenants.get(name) or tenants.get(EVERY_TENANT)
