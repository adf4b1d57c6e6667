"""The part of the configuration that lets other policies compete with the one that decides."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from highwayman.env.cost.objective import Objective
from highwayman.env.types import TOLD
from highwayman.feedback.tournament.ramp import BEST_CONSTANT, RampRules
from highwayman.feedback.tournament.score import DOLLARS, FAILURES, SECONDS, WINDOW
from highwayman.feedback.tournament.scored_learner import CONFIGURED
from highwayman.serving.config.objective import Points
from highwayman.serving.config.policy import PolicyConfig
from highwayman.serving.config.strict import Strict

_Share = Annotated[float, Field(gt=0, le=1)]
_RESERVED = (CONFIGURED, BEST_CONSTANT, TOLD)


class DialConfig(Strict):
    """What a challenger counts dollars, seconds and energy for, in place of the logged penalties."""

    points_per_usd: Points = Field(description="Points of quality for each dollar.")
    points_per_s: Points = Field(default=0.0, description="Points of quality for each second.")
    points_per_wh: Points = Field(default=0.0, description="Points of quality for each watt-hour.")


class ChallengerConfig(Strict):
    """A policy that learns beside the one that decides."""

    name: Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9._-]+$")] = Field(
        description="What it is called, such as in `highwayman promote NAME`."
    )
    policy: PolicyConfig = PolicyConfig()
    objective: DialConfig | None = Field(
        default=None, description="Its own dial; null: that of the champion, as each request had it."
    )
    cascade: bool = Field(
        default=True,
        description=(
            "Whether its arms' answers may be gone on from where the champion's are. Without it is scored only, never "
            "tried: which of them drew an arm is not known where a share of the draws is its own."
        ),
    )

    def own_objective(self) -> Objective | None:
        """Return its dial as an objective, None where it goes by that of each request."""
        dial = self.objective
        if dial is None:
            return None
        return Objective(self.name, dial.points_per_usd, dial.points_per_s, dial.points_per_wh)


class GuardLimits(Strict):
    """What a challenger's calls may take beyond the champion's, as far as is certain."""

    failures: Annotated[float, Field(ge=0)] = Field(
        default=0.02, description="Share of all calls that may fail beyond the champion's."
    )
    seconds: Annotated[float, Field(ge=0)] = Field(
        default=0.5, description="Share of the champion's mean seconds that may be added."
    )
    dollars: Annotated[float, Field(ge=0)] = Field(
        default=0.5, description="Share of the champion's mean dollars that may be added."
    )


class TournamentConfig(Strict):
    """Who competes, and what follows from it."""

    challengers: list[ChallengerConfig] = Field(
        default_factory=list, description="Policies that learn beside the one that decides."
    )
    champion: Literal["configured", "told"] = Field(
        default="configured",
        description=(
            "Who decides as long as nobody was promoted: the configured policy, or another router, told by `POST "
            "/v1/route`; then the configured policy is a challenger of it."
        ),
    )
    guard: bool = Field(default=True, description="Whether the best constant arm competes, too.")
    stop: bool = Field(default=False, description="Whether it takes over where the policy loses to it.")
    promote: Literal["hand", "evidence"] = Field(
        default="hand", description="Who lets a challenger in: an operator, or the evidence."
    )
    ramp: list[_Share] = Field(
        default_factory=lambda: [0.01, 0.05, 0.25, 1.0],
        min_length=1,
        description="Shares of the traffic that a challenger gets, one after the other.",
    )
    step_decisions: Annotated[int, Field(ge=1)] = Field(
        default=500, description="Decisions that each of them lasts at least."
    )
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        default=0.05, description="Chance that any challenger is ever promoted that is no better."
    )
    window: Annotated[int, Field(ge=100)] = Field(default=WINDOW, description="Decisions whose rewards are waited for.")
    guards: GuardLimits = GuardLimits()

    @field_validator("ramp")
    @classmethod
    def _rises_to_all(cls, ramp: list[float]) -> list[float]:
        if ramp != sorted(set(ramp)) or ramp[-1] != 1.0:
            raise ValueError(f"shares must rise and end with 1.0, got {ramp}")
        return ramp

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        """Raise ValueError for a name that is given twice, or stands for somebody else."""
        names = self.names
        for name in names:
            if name in _RESERVED or names.count(name) > 1:
                raise ValueError(f"challengers: the name {name!r} is taken; give each one of its own")
        return self

    @property
    def names(self) -> list[str]:
        """The configured challengers."""
        return [challenger.name for challenger in self.challengers]

    def contenders(self) -> list[str]:
        """Return whoever is scored: with challengers, the configured policy too, should another become champion."""
        competes = bool(self.challengers) or self.champion == TOLD
        return [*([BEST_CONSTANT] if self.guard else []), *([CONFIGURED, *self.names] if competes else [])]

    def challenger(self, name: str) -> ChallengerConfig | None:
        """Return the configured challenger of that name, None for the others."""
        return next((challenger for challenger in self.challengers if challenger.name == name), None)

    def rules(self) -> RampRules:
        """Return what follows from verdicts."""
        limits = {FAILURES: self.guards.failures, SECONDS: self.guards.seconds, DOLLARS: self.guards.dollars}
        tried = tuple(challenger.name for challenger in self.challengers if challenger.cascade)
        names = (CONFIGURED, *tried) if self.champion == TOLD else tried
        return RampRules(
            names,
            tuple(self.ramp),
            self.step_decisions,
            self.promote,
            self.stop,
            first=self.champion,
            most_worse=limits,
        )
