"""Who a request comes from, as its API key tells."""

from dataclasses import dataclass

from highwayman.env.types import DEFAULT_TENANT
from highwayman.feedback.trust.quotas import Quota

ANSWERS, FEEDBACK, ADMIN = "answers", "feedback", "admin"
SCOPES = frozenset({ANSWERS, FEEDBACK, ADMIN})


@dataclass(frozen=True, slots=True)
class Principal:
    """A tenant's client: what it may do, and how far its feedback is trusted."""

    tenant: str = DEFAULT_TENANT
    key_id: str = ""  # public; empty where no keys are configured
    scopes: frozenset[str] = SCOPES
    quarantined: bool = False  # its feedback is kept, and does not count for now
    influence: float | None = None  # the most of the tenant's evidence that may be its own; None: as configured
    rate_per_s: float | None = None  # feedback posts it may send; None: as configured
    quotas: tuple[Quota, ...] = ()  # of its own, beside its tenant's


ANONYMOUS = Principal()
