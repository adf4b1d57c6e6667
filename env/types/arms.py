"""The arms of a pool: models on servers, and how each is used."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class ArmState(StrEnum):
    """Whether an arm takes traffic: `draining` finishes what it has and gets no more."""

    ACTIVE = "active"
    PROBATION = "probation"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Profile:
    """How an arm uses its model: the same model under another profile is another arm, at another cost."""

    system: str | None = None
    few_shot: tuple[tuple[str, str], ...] = ()  # (user, assistant) pairs put before the conversation
    temperature: float | None = None  # a default: the caller's own value wins
    max_tokens: int | None = None  # a ceiling: the smaller of this and the caller's
    best_of: int = 1  # answers sampled; the most common one is served (self-consistency)
    reasoning_effort: str | None = None  # in the server's words; unlike the temperature, the caller's does not win
    body: Mapping[str, Any] = field(default_factory=dict)  # what else a chat's body says, such as a thinking budget


@dataclass(frozen=True, slots=True)
class Quirks:
    """What a server does not take as others do."""

    rename: Mapping[str, str] = field(default_factory=dict)  # keys of a body, and what they are called there
    leave_out: frozenset[str] = frozenset()  # keys that it refuses
    chat_path: str | None = None  # where it answers chats, behind its base URL; None: /v1/chat/completions


NO_QUIRKS = Quirks()


@dataclass(frozen=True, slots=True)
class Arm:
    """One model of the pool. A name is never reused for another model: what was learned hangs on it."""

    name: str
    endpoints: tuple[str, ...]  # base URLs of replicas, without /v1
    model: str  # the model id upstream
    usd_per_mtok_in: float | None  # None: unknown, routed without cost
    usd_per_mtok_out: float | None
    context_window_tokens: int
    modalities: frozenset[str] = frozenset({"text"})
    tools: bool | None = False  # whether it calls tools; None: nobody knows, it is tried and what comes back tells
    tags: Mapping[str, str] = field(default_factory=dict)
    wh_per_mtok: float | None = None
    state: ArmState = ArmState.ACTIVE
    profile: Profile = field(default_factory=Profile)
    api_key_env: str | None = None  # name of the environment variable that holds the upstream's key
    usd_per_mtok_cached_in: float | None = None  # of prompt tokens that its cache held; None: as the others
    power_url: str | None = None  # tells the watts of all that serves it; None: nobody measures
    headers: Mapping[str, str] = field(default_factory=dict)  # ${NAME} in one stands for an environment variable
    quirks: Quirks = NO_QUIRKS
    zone: str = "default"  # whose rules of privacy hold for it

    @property
    def has_price(self) -> bool:
        """Whether both prices are known."""
        return self.usd_per_mtok_in is not None and self.usd_per_mtok_out is not None
