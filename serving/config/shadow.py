"""Shadow answers in `highwayman.yaml`: another arm answers, too, and nobody sees it."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from highwayman.env.encoder.features.tags import Tag
from highwayman.env.errors import ConfigError
from highwayman.env.suggestions import did_you_mean
from highwayman.serving.config.strict import Strict

Share = Annotated[float, Field(ge=0, le=1)]
# YAML reads a bare `no` as false.
Judged = Annotated[Literal["no", "score", "preference"], BeforeValidator(lambda said: "no" if said is False else said)]


class ShadowConfig(Strict):
    """Which answers get a second one unseen, whose, and what is made of it; without a rate, none does."""

    rate: Share = Field(default=0.0, description="Share of the answers to routed requests that get another one unseen.")
    usd_per_day: Annotated[float, Field(ge=0)] | None = Field(
        default=1.0, description="Dollars that they may cost a day of UTC, all processes together; null: no end."
    )
    arms: list[str] = Field(default_factory=list, description="Who may be asked; empty: whoever could have answered.")
    max_tokens: Annotated[int, Field(ge=1)] = Field(
        default=1024, description="Tokens of a shadow answer at most: what it can cost is known before it is asked for."
    )
    timeout_s: Annotated[float, Field(gt=0)] = Field(default=60.0, description="Seconds that it may take.")
    at_once: Annotated[int, Field(ge=1)] = Field(
        default=4, description="Calls of each process at the same time; beyond, none is made."
    )
    judged: Judged = Field(
        default="no", description="How both are judged, by the first of `feedback.judge.arms` that gave neither."
    )
    never_tenants: list[str] = Field(default_factory=list, description="Tenants whose requests no other arm is to see.")
    never: dict[str, list[str]] = Field(
        default_factory=dict, description="levels of declared tags whose requests no other arm is to see"
    )

    def check_arms(self, pool: Iterable[str], judges: Iterable[str]) -> None:
        """Raise ConfigError for an arm that is not in the pool, or answers that are to be judged by nobody."""
        known = list(pool)
        for name in self.arms:
            if name not in known:
                raise ConfigError(f"shadow.arms: there is no arm {name!r} in the pool{did_you_mean(name, known)}")
        if self.judged != "no" and not list(judges):
            raise ConfigError(f"shadow.judged: {self.judged} takes a judge: name one in feedback.judge.arms")

    def forbidden(self, declared: Iterable[Tag]) -> frozenset[tuple[str, int]]:
        """Return the tags with the columns of their levels that no other arm is to see.

        Raises:
            ConfigError: a tag is not declared, or not with that level.
        """
        levels = {tag.name: tag.levels for tag in declared}
        for tag, never in self.never.items():
            for level in never:
                if level not in levels.get(tag, ()):
                    raise ConfigError(
                        f"shadow.never.{tag}: {level!r} is no level that context.{tag}.levels declares; "
                        f"declared: {', '.join(levels.get(tag, ())) or 'none'}"
                    )
        return frozenset((tag, levels[tag].index(level)) for tag, never in self.never.items() for level in never)
