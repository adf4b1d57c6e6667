"""What decides beside a policy in a simulation."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from highwayman.bandit.cascade.plan import CascadeRules
from highwayman.bandit.decision import ExplorationRules
from highwayman.env.cost.objective import Objective
from highwayman.env.cost.pacer import Pacer
from highwayman.env.cost.switching import SERVED_TURNS
from highwayman.env.types import Floats


class Switching(StrEnum):
    """When a conversation changes its arm."""

    PRICED = "priced"  # when it pays, as in production
    NEVER = "never"  # the first turn's arm answers all of them
    UNPRICED = "unpriced"  # every turn is drawn as if it stood alone


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedRouter:
    """What decides beside the policy, as a router's configuration and pool file have it."""

    objective: Objective  # of every request; in a tool loop none explores
    rules: ExplorationRules  # a cap among them goes on from what it has granted already
    probation: Collection[str] = ()  # arms that are on probation for the whole run
    pacer: Pacer | None = None  # holds a budget; None: a new one if the scenario has a budget
    most_usd: Floats | None = None  # (K,) that no call to each of the scenario's arms costs more than; None: unknown
    switching: Switching = Switching.PRICED  # between the turns of a conversation
    served_turns: float = SERVED_TURNS  # that an arm is expected to answer once it is switched to
    predicts: bool = True  # what a call will take, by prompt; else the price list is all that is known of it
    cascade: CascadeRules | None = None  # answers may be looked at, and other arms asked; None: they are not

    @property
    def only_mixes_a_floor(self) -> bool:
        """Whether a decision is the policy's probabilities and the floor, and hangs on no other round."""
        limits = (self.objective.max_usd, self.objective.min_quality, self.rules.cap, self.pacer)
        plain = not self.probation and self.cascade is None
        return self.objective.explore and plain and all(limit is None for limit in limits)

    @property
    def heeds_amounts(self) -> bool:
        """Whether it makes any difference what a call is expected to take."""
        objective = self.objective
        points = (objective.points_per_usd, objective.points_per_s, objective.points_per_wh)
        return any(points) or objective.max_usd is not None or self.rules.cap is not None or self.pacer is not None
