"""The pool, the configuration and what is true of the arms: the world that the traffic comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import yaml

from highwayman.env.pool.pool_file import parse_entries
from highwayman.env.types import Arm
from highwayman.serving.config.config import Config
from highwayman.serving.processes.local_pool import local_pool_yaml

TENANT: Final = "acme"  # beside the default one
TASK: Final = "task"  # the tag
TASKS: Final = ("chat", "search", "batch")
BOLD, CAREFUL = "bold", "careful"  # the challengers
_NOWHERE: Final = "http://127.0.0.1:9"  # where nobody answers
_MEDIOCRE: Final = 0.25  # chance of a good answer by an arm that was not made for the kind
_ABLE: Final[Mapping[str, Mapping[str, float]]] = {
    "facts": {"plain": 0.82, "abacus": 0.45},
    "sentiment": {"critic": 0.94, "plain": 0.5},
    "extraction": {"copyist": 0.9, "plain": 0.4, "typist": 0.35},
    "formatting": {"typist": 0.9, "copyist": 0.3},
    "arithmetic": {"abacus": 0.92, "plain": 0.35},
}
TOKENS_OUT: Final[Mapping[str, float]] = {"plain": 42.0, "critic": 2.0, "copyist": 7.0, "typist": 13.0, "abacus": 9.0}
SECONDS: Final[Mapping[str, float]] = {"plain": 0.9, "critic": 0.12, "copyist": 0.25, "typist": 0.4, "abacus": 0.3}


def filled_config(namespace: str, **more: Any) -> Config:
    """Return the configuration of a router on such a log: tags, a control slice, challengers, privacy, cascades."""
    challengers = [{"name": BOLD, "policy": {"name": "LinTS"}}, {"name": CAREFUL, "policy": {"name": "LinUCB"}}]
    return Config.model_validate(
        {
            "namespace": namespace,
            "context": {TASK: {"from": "header:x-task", "levels": list(TASKS)}},
            "control": {"share": 0.05, "baseline": "plain"},
            "tournament": {"challengers": challengers},
            "privacy": {"classes": {"personal": ["default"]}},
            **more,
        }
    )


def filled_arms(url: str = _NOWHERE) -> tuple[Arm, ...]:
    """Return the local pool's five arms, served at `url`, with the prices that they have in the end."""
    return parse_entries(yaml.safe_load(local_pool_yaml(url))["arms"], name="pool.yaml").arms


@dataclass(frozen=True, slots=True)
class World:
    """What happens to the arms, and when, in seconds since the first request; they are those of `filled_arms`."""

    hours: float = 48.0
    arms: tuple[Arm, ...] = field(default_factory=filled_arms)

    def at(self, share: float) -> float:
        """Return the second at which a share of the time is over."""
        return share * self.hours * 3600.0

    @property
    def joins(self) -> float:
        """When the arm for sums joins the pool."""
        return self.at(0.1)

    @property
    def outage(self) -> tuple[float, float]:
        """From when to when the server of the arm that rewrites fails half of its calls."""
        return self.at(0.26), self.at(0.29)

    @property
    def dearer(self) -> float:
        """When the prices of the arm without a specialty double."""
        return self.at(0.62)

    @property
    def drift(self) -> float:
        """When the arm that copies out begins to answer worse."""
        return self.at(0.72)

    @property
    def noticed(self) -> float:
        """When that is noticed."""
        return self.at(0.8)

    def pool_at(self, second: float) -> tuple[Arm, ...]:
        """Return the arms there are, with their prices of then."""
        there = [arm for arm in self.arms if arm.name != "abacus" or second >= self.joins]
        return tuple(_at_half_price(arm) if arm.name == "plain" and second < self.dearer else arm for arm in there)

    def chance(self, kind: str, arm: str, second: float) -> float:
        """Return the chance that an arm's answer to a prompt of a kind is good."""
        able = _ABLE[kind].get(arm, _MEDIOCRE)
        return 0.5 * able if arm == "copyist" and second >= self.drift else able

    def fails(self, arm: str, second: float) -> float:
        """Return the chance that an arm's server does not answer."""
        begins, ends = self.outage
        return 0.5 if arm == "typist" and begins <= second < ends else 0.004


def _at_half_price(arm: Arm) -> Arm:
    """Return the arm as it was before it became dearer."""
    return replace(
        arm,
        usd_per_mtok_in=0.5 * (arm.usd_per_mtok_in or 0.0),
        usd_per_mtok_out=0.5 * (arm.usd_per_mtok_out or 0.0),
    )
