"""What `POST /v1/route` answers: who shall be asked and how, what spoke for it, and how it is completed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np

from highwayman.bandit.policy import PredictsQuality
from highwayman.env.types import Arm, Decision, Floats, JsonObject, Profile
from highwayman.feedback.fold.tally_quotes import TallyQuotes
from highwayman.serving.completions.requests.request import CompletionRequest
from highwayman.serving.completions.routing.route import Route
from highwayman.serving.completions.routing.router import Router

OUTCOMES_PATH = "/v1/outcomes"


@dataclass(slots=True)
class RouteView:
    """Shows routes, with what is expected of each candidate now."""

    router: Router
    window_s: float  # that a decision takes an outcome for
    _arms: Mapping[str, Arm] = field(default_factory=dict, init=False)  # of the pool, as `_quotes` has them
    _quotes: TallyQuotes = field(init=False)

    def __call__(self, route: Route, request: CompletionRequest) -> JsonObject:
        """Return a route as JSON: `fallbacks` are whom to ask where the arm fails, in that order."""
        decision = route.decision
        arms = {**self.router.pool.arms, **{arm.name: arm for arm in route.arms}}  # one may be removed meanwhile
        return {
            "object": "highwayman.route",
            "id": decision.id,
            **_called(arms[decision.arm]),
            "propensity": decision.propensity,
            "mode": decision.mode,
            "policy": decision.policy,
            "policy_version": decision.policy_version,
            "objective": decision.objective,
            "candidates": self._candidates(decision, arms, request.query.max_tokens),
            "fallbacks": [arm.name for arm in route.arms if arm.name != decision.arm],
            "tools_dropped": route.tools_dropped,
            "complete_with": {"path": OUTCOMES_PATH, "decision_id": decision.id, "until": decision.at + self.window_s},
        }

    def _candidates(self, decision: Decision, arms: Mapping[str, Arm], max_tokens: int | None) -> list[JsonObject]:
        router, names = self.router, decision.arms
        if arms != self._arms:  # prices and arms may change while the router runs
            self._arms, self._quotes = arms, TallyQuotes(tuple(arms.values()))
        policy = router.ramp.champion_for(decision.tenant) or router.live.policy_for(decision.tenant)
        expected: Floats = np.full(len(names), np.nan)
        if isinstance(policy, PredictsQuality):
            expected = policy.expected_quality(decision.context, names).clip(0.0, 1.0)
        self._quotes.follow(router.live.tally)
        estimates = self._quotes.estimates(decision.context, max_tokens=max_tokens).by_arm(tuple(arms))
        return [
            {
                **_called(arms[name]),
                "probability": float(decision.probs[place]),
                "expected_quality": _known(float(expected[place])),
                "expected_usd": _known(estimates[name].usd),
                "penalty": float(decision.penalties[place]),
            }
            for place, name in enumerate(names)
        ]


def _called(arm: Arm) -> JsonObject:
    """Return how an arm is called, as the pool has it; whatever its profile asks for is for the caller to send."""
    profile = {} if arm.profile == Profile() else {"profile": asdict(arm.profile)}
    return {"arm": arm.name, "model": arm.model, "endpoints": list(arm.endpoints), **profile}


def _known(number: float | None) -> float | None:
    return None if number is None or np.isnan(number) else number
