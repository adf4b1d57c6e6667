"""What another router decided, told with `POST /v1/route`: its arm, and how likely it was, as far as that is known."""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from highwayman.env.types import NO_EXPLORATION, ONLY_DRAWN, TOLD, Decision, Floats, JsonObject
from highwayman.serving.http.validation import BadRequest, validate

_TOLERANCE = 1e-6
_Name = Annotated[str, Field(min_length=1, max_length=256)]
_Probability = Annotated[float, Field(gt=0, le=1)]


class ToldBody(BaseModel):
    """What a body of `POST /v1/route` may say beside a chat completion's."""

    model_config = ConfigDict(strict=True, extra="allow", hide_input_in_errors=True)

    chosen_arm: _Name | None = Field(None, description="the arm that another router has chosen for this request")
    propensity: _Probability | None = Field(None, description="with which it drew that arm; left out: nobody knows")
    probabilities: dict[str, Annotated[float, Field(ge=0, le=1)]] | None = Field(
        None, description="instead: with which it would have drawn each arm that it could draw"
    )


@dataclass(frozen=True, slots=True)
class ToldChoice:
    """An arm, its propensity, and those of all arms that could be drawn, where they are known."""

    arm: str
    propensity: float | None  # None: nobody knows
    probabilities: dict[str, float] | None = None


def parse_told(body: JsonObject) -> ToldChoice | None:
    """Return what another router chose, None where nobody else did. Raises BadRequest."""
    told = validate(ToldBody, body)
    propensity, probabilities = told.propensity, told.probabilities
    if told.chosen_arm is None:
        for name in ("propensity", "probabilities"):
            if getattr(told, name) is not None:
                raise BadRequest(f"{name}: is that of chosen_arm, which is not given", param=name)
        return None
    if probabilities is not None:
        total, own = sum(probabilities.values()), probabilities.get(told.chosen_arm, 0.0)
        if abs(total - 1.0) > _TOLERANCE:
            raise BadRequest(f"probabilities: must sum to 1, not {total:g}", param="probabilities")
        if own <= 0.0:
            raise BadRequest("probabilities: chosen_arm must be among them, with more than 0", param="probabilities")
        if propensity is not None and abs(propensity - own) > _TOLERANCE:
            raise BadRequest(f"propensity: probabilities say {own:g}; give one of them", param="propensity")
        propensity = own
    return ToldChoice(told.chosen_arm, propensity, probabilities)


def without_draw(decision: Decision) -> Decision:
    """Return a decision that named the told arm, as another router's: nothing is known of how likely it was."""
    return replace(decision, policy=TOLD)


def as_drawn(decision: Decision, told: ToldChoice) -> Decision | None:
    """Return a decision of this router's as the other one took it; None where the arm is none of the candidates.

    Where only the arm's propensity is told, or the other router may draw what is no candidate here, the rest stands
    evenly at the other candidates, and the decision says that nothing but the propensity is known.
    """
    if told.arm not in decision.arms or told.propensity is None:
        return None
    action = decision.arms.index(told.arm)
    probs, flags = _all_known(decision.arms, told), decision.context.flags - {NO_EXPLORATION}
    if probs is None:
        probs, flags = _rest_even(len(decision.arms), action, told.propensity), flags | {ONLY_DRAWN}
    return replace(
        decision,
        context=replace(decision.context, flags=flags),
        probs=probs,
        action=action,
        propensity=float(probs[action]),
        policy=TOLD,
    )


def _all_known(arms: tuple[str, ...], told: ToldChoice) -> Floats | None:
    """Return the probability of each of K arms, (K,), as told; None where that is not known of all of them."""
    given = told.probabilities or {}
    beyond = any(prob > 0.0 and arm not in arms for arm, prob in given.items())
    return np.array([given.get(arm, 0.0) for arm in arms]) if given and not beyond else None


def _rest_even(count: int, action: int, propensity: float) -> Floats:
    probs = np.full(count, (1.0 - propensity) / max(count - 1, 1))
    probs[action] = propensity if count > 1 else 1.0
    return probs
