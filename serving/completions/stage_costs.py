"""What the answers of a cascade took, also those that nobody saw: dollars and energy, as far as they are known."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from highwayman.bandit.cascade.plan import StageChoice
from highwayman.env.cost.usage import cost_usd, energy_wh
from highwayman.env.types import Arm, CascadeStage, Usage


@dataclass(slots=True)
class StageCosts:
    """Keeps account of one request's stages."""

    stages: list[CascadeStage] = field(default_factory=list)  # answers that were looked at
    look_usd: list[float | None] = field(default_factory=list)  # of looking at the answer that lies there
    lost_usd: list[float | None] = field(default_factory=list)  # of answers that broke off before anybody saw them

    def stage(self, choice: StageChoice, arm: Arm, usage: Usage, *, seconds: float) -> CascadeStage:
        """Return what an answer was that was looked at, with its seconds from sending to its end."""
        return CascadeStage(
            arm.name,
            choice.signals,
            choice.good,
            choice.goes_on,
            choice.went_on,
            choice.next_arm,
            usage.tokens_in,
            usage.tokens_out,
            _total([cost_usd(arm, usage), *self.look_usd]),
            seconds,
        )

    def spent_usd(self, arm: Arm, usage: Usage) -> float | None:
        """Return the dollars of everything so far, the answer that comes now included; None: nothing has a price."""
        gone_on = [stage.cost_usd for stage in self.stages if stage.went_on]
        return _total([cost_usd(arm, usage), *gone_on, *self.lost_usd, *self.look_usd])

    def energy_wh(self, arm: Arm, usage: Usage, *, asked: Iterable[Arm]) -> float | None:
        """Return the energy of every answer by the coefficients of the arms asked; None: nobody can know any of it."""
        arms = {each.name: each for each in asked}
        gone_on = [(arms[stage.arm], stage) for stage in self.stages if stage.went_on and stage.arm in arms]
        others = (energy_wh(each, Usage(stage.tokens_in, stage.tokens_out)) for each, stage in gone_on)
        return _total([energy_wh(arm, usage), *others])


def _total(known_or_not: Sequence[float | None]) -> float | None:
    """Return the sum of what is known, None where nothing is."""
    known = [amount for amount in known_or_not if amount is not None]
    return sum(known) if known else None
