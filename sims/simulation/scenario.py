"""What happens in n rounds whichever policy runs: what is true of every arm, and the feedback each would get.

A scenario is drawn before any policy runs, so policies that run on the same one meet the same prompts, the same noise
and the same silence, and their differences are paired.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from highwayman.env.cost.objective import Objective
from highwayman.env.errors import HighwaymanError
from highwayman.env.suggestions import did_you_mean
from highwayman.env.types import Floats
from highwayman.sims.logs.logged import Bools, Indices
from highwayman.sims.simulation.conversation_turns import ConversationTurns
from highwayman.sims.tables.table import FullTable

SECONDS_PER_ROUND = 1.0
_BY_ROUND = (
    *("rows", "quality", "cost_usd", "price_usd", "latency_s", "available", "feedback", "delay_s"),
    *("expected_latency_s", "expected_wh", "in_tool_loop", "barred"),
)


class WorldError(HighwaymanError):
    """A world cannot be as described, or not on this scenario."""


class Stage(IntEnum):
    """When a world is applied: feedback can only be about the quality there is, and be silenced once there is some."""

    TRAFFIC = 0  # who asks what, and when
    POOL = 1  # which arms there are, and what they cost
    PRICE_LIST = 2  # what the router knows of that, and which rules it has
    QUALITY = 3  # what answers are worth
    CONFIDENCE = 4  # what answers tell of that themselves
    FEEDBACK = 5  # what feedback says of it
    SILENCE = 6  # which feedback is missing, or late


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """n rounds over K arms."""

    arms: tuple[str, ...]  # (K,)
    rows: Indices  # (n,) which prompt of the table
    at: Floats  # (n,) seconds since the start, not decreasing
    quality: Floats  # (n, K) what each arm's answer is truly worth, in [0, 1]
    cost_usd: Floats  # (n, K) what each call is metered at; NaN: no price
    price_usd: Floats  # (n, K) what a call costs by the router's price list, prompts apart; NaN: no price
    latency_s: Floats  # (n, K); NaN: unknown
    available: Bools  # (n, K) whether the arm is in the pool, and may be asked
    feedback: Floats  # (n, K) the reward that feedback would state, in [0, 1]; NaN: there is none
    delay_s: Floats  # (n, K) from the answer to its feedback
    budget_usd: float | None = None  # dollars a request may cost on average
    expected_latency_s: Floats | None = None  # (n, K) what the router expects; NaN or None: unknown
    expected_wh: Floats | None = None  # (n, K) energy that the router expects a call to take; NaN or None: unknown
    in_tool_loop: Bools | None = None  # (n,) whether the caller is in the middle of a tool loop; None: nobody is
    conversations: ConversationTurns | None = None  # None: every request stands alone
    signals: Mapping[str, Floats] = field(default_factory=dict)  # (n, K) by name: what each answer tells of itself
    # (n, K) whether the arm, which is in the pool, may not have the round's data: it is not available; None: nobody's.
    barred: Bools | None = None
    tasks: tuple[str, ...] = ()  # (n,) what kind of prompt it is; empty: nobody knows

    @property
    def n(self) -> int:
        """The number of rounds."""
        return len(self.rows)

    @property
    def in_pool(self) -> Bools:
        """Whether the arm is in the pool, whoever may have the round's data, (n, K)."""
        return self.available if self.barred is None else self.available | self.barred

    @property
    def has_tool_loops(self) -> bool:
        """Whether any caller is in the middle of one."""
        return self.in_tool_loop is not None and bool(self.in_tool_loop.any())

    def in_a_tool_loop(self, t: int) -> bool:
        """Return whether the caller of round t is in the middle of one."""
        return self.in_tool_loop is not None and bool(self.in_tool_loop[t])

    def replace(self, **changes: Any) -> Self:
        """Return the scenario with some of its arrays replaced."""
        return replace(self, **changes)

    def reordered(self, order: Indices) -> Self:
        """Return the scenario with its rounds in another order, (n,), at the same times.

        Raises:
            WorldError: rounds are turns of conversations, which have an order of their own.
        """
        if self.conversations is not None:
            raise WorldError("Conversations has an order of its own: name it last of the worlds that order traffic")
        present = (name for name in _BY_ROUND if getattr(self, name) is not None)
        changes: dict[str, Any] = {name: getattr(self, name)[order] for name in present}
        changes["signals"] = {name: values[order] for name, values in self.signals.items()}
        if self.tasks:
            changes["tasks"] = tuple(self.tasks[t] for t in order)
        return self.replace(**changes)

    def between(self, from_share: float, until_share: float = 1.0) -> slice:
        """Return the rounds from one share of the run to another."""
        return slice(round(from_share * self.n), round(until_share * self.n))

    def column(self, arm: str) -> int:
        """Return the index of an arm, given by name or as `best`, `worst`, `cheapest` or `dearest` on average.

        Raises:
            WorldError: there is no such arm, or nothing has a price.
        """
        if arm in self.arms:
            return self.arms.index(arm)
        if arm in ("best", "worst"):
            means = self.quality.mean(axis=0)
            return int(means.argmax() if arm == "best" else means.argmin())
        if arm in ("cheapest", "dearest"):
            costs = self.cost_usd.mean(axis=0)
            if np.isnan(costs).all():
                raise WorldError(f"no arm is the {arm} one: none has a price")
            return int(np.nanargmin(costs) if arm == "cheapest" else np.nanargmax(costs))
        known_arms = f"arms are {', '.join(self.arms)}; best, worst, cheapest and dearest name one of them, too"
        raise WorldError(f"unknown arm {arm!r}{did_you_mean(arm, self.arms)}: {known_arms}")

    def penalties(self, objective: Objective) -> Floats:
        """Return the penalty of every arm in every round, (n, K), in quality units, as production prices them.

        Arms that are not in the pool at the time carry none, and do not count for those nobody knows the price of.
        """

        def there(amounts: Floats) -> Floats:
            return np.where(self.available, amounts, np.nan)

        latency_s, wh = (
            None if amounts is None else there(amounts) for amounts in (self.expected_latency_s, self.expected_wh)
        )
        return np.where(self.available, objective.penalties(there(self.price_usd), latency_s, wh), 0.0)


class World(Protocol):
    """One thing that production does to learning: small, and composed with others, stage by stage."""

    stage: ClassVar[Stage]

    def apply(self, scenario: Scenario, rng: np.random.Generator) -> Scenario:
        """Return the scenario as this world has it; `rng` is this world's own."""


def stationary(table: FullTable, *, rounds: int, rng: np.random.Generator) -> Scenario:
    """Return a scenario on which everything stays as it is: feedback is the answer's quality, without delay or noise.

    Prompts are drawn by shuffling the table, and again whenever it is used up. The router expects each arm's mean cost,
    latency and energy; a call is metered at what it cost in the table.
    """
    passes = [rng.permutation(table.n) for _ in range(-(-rounds // table.n))]
    rows = np.concatenate(passes)[:rounds].astype(np.intp)
    quality = table.quality[rows]

    def expected(column: str) -> Floats:
        means = [np.nan if mean is None else mean for mean in table.mean_amounts(column)]
        return np.tile(np.array(means), (rounds, 1))

    return Scenario(
        arms=table.arms,
        rows=rows,
        at=np.arange(rounds, dtype=np.float64) * SECONDS_PER_ROUND,
        quality=quality,
        cost_usd=table.cost_usd[rows],
        price_usd=expected("cost_usd"),
        latency_s=table.latency_s[rows],
        available=np.ones(quality.shape, dtype=np.bool_),
        feedback=quality.copy(),
        delay_s=np.zeros(quality.shape),
        expected_latency_s=expected("latency_s"),
        expected_wh=expected("wh"),
        tasks=tuple(table.tasks[row] for row in rows) if any(table.tasks) else (),
    )
