"""What keys and tenants have taken of their limits."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from highwayman.env.errors import StoreUnavailable
from highwayman.feedback.trust.principal import Principal
from highwayman.feedback.trust.quotas import USD
from highwayman.serving.config.tenants import EVERY_TENANT
from highwayman.serving.dashboard.site import Site

_MOST: Final = 50  # callers that are asked after
_PATIENCE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class LimitUse:
    """One limit of a key or a tenant."""

    owner: str
    tenant: str
    resource: str
    period: str
    limit: float
    share: float  # of it that is taken, may be above 1 where it was lowered
    ends_at: float  # seconds since the epoch, when all of it is free again; infinite: a sliding minute

    @property
    def taken(self) -> float:
        """What is taken, in its own unit."""
        return self.share * self.limit

    @property
    def is_usd(self) -> bool:
        """Whether it is of dollars."""
        return self.resource == USD


async def limits_used(site: Site) -> tuple[list[LimitUse], int] | None:
    """Return the limits of tenants and keys, and of how many they are not shown; None where nobody can count now."""
    callers = _callers(site)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            taken = await asyncio.gather(*(site.services.quotas.taken_by(caller) for _, caller in callers[:_MOST]))
    except (StoreUnavailable, TimeoutError):
        return None
    uses: dict[str, LimitUse] = {}  # by its window: a tenant's is that of each of its keys, too
    for (name, caller), windows in zip(callers, taken, strict=False):
        for window, share in windows:
            owner = window.owner.replace(f"the API key {caller.key_id}", f"key {name}") if name else window.owner
            quota = window.quota
            use = LimitUse(
                owner.removeprefix("the "),
                caller.tenant,
                quota.resource,
                quota.period,
                quota.limit,
                share,
                window.ends_at,
            )
            uses.setdefault(window.key, use)
    return list(uses.values()), max(len(callers) - _MOST, 0)


def _callers(site: Site) -> Sequence[tuple[str, Principal]]:
    """Return who has limits of the tenants that are known and of the keys, with the names of the latter."""
    services = site.services
    keys = services.authenticator.tenants_keys()
    tenants = dict.fromkeys(
        [
            *services.settings.config.tenants,
            *services.live.tally.spending_tenants,
            *(principal.tenant for _, principal in keys),
        ]
    )
    named = [("", Principal(tenant=tenant)) for tenant in tenants if tenant != EVERY_TENANT]
    limited = [(name, caller) for name, caller in named if services.quotas.limits(caller)]
    return [*limited, *((key.name or key.id, principal) for key, principal in keys if principal.quotas)]
