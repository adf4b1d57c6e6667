"""Routers with a real policy, pool and encoder; nothing is called, and Redis is asked nothing."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.exploration_cap import ExplorationCap
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.policy import Policy
from highwayman.bandit.probation import ProbationQuota
from highwayman.env.cost.budget import SpendLimits
from highwayman.env.encoder.encoder import Encoder
from highwayman.env.pool.eligibility import Pool
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.types import Arm, Query, RewardChange
from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.feedback.learning.publications import Publications
from highwayman.feedback.log.redis.redis import connect
from highwayman.serving.completions.requests.routing_options import RoutingOptions
from highwayman.serving.completions.routing.call_funds import CallFunds
from highwayman.serving.completions.routing.decision_records import DecisionRecords
from highwayman.serving.completions.routing.router import Router
from highwayman.serving.completions.routing.spend_tracker import SpendTracker
from highwayman.serving.config.config import Config
from highwayman.serving.state.live_policy import LivePolicy
from highwayman.serving.state.local_state import LocalState
from highwayman.serving.state.pool_objectives import PoolObjectives
from tests.serving.running_router import arm

NOW = 1_700_000_000.0
FLOOR = 0.02
CHEAP, DEAR = (
    0.1,
    100.0,
)  # dollars per million tokens: a call is guessed to take 256 tokens, so 2.7 cents with the prompt
QUERY = Query(text="What is the capital of France?", prompt_chars=30)
GREEDY = RoutingOptions(explore=False)


class Routers:
    """Makes routers; what a test does not care for is as usual."""

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        self.encoder = encoder
        self.ids = DecisionIds([b"secret"], np.random.default_rng(0).bytes, lambda: NOW)
        self._folder = folder

    def __call__(
        self,
        arms: Sequence[Arm],
        policy: Callable[..., Policy] = LinTS,
        *,
        limits: SpendLimits | None = None,
        cap: ExplorationCap | None = None,
        quota: ProbationQuota | None = None,
        keep_prompts: bool = False,
    ) -> Router:
        return Router(
            pool=Pool(arms, EndpointHealth(lambda: NOW)),
            encoder=self.encoder,
            live=self._live(arms, policy),
            policy_name="test:Policy",
            objectives=PoolObjectives(Config(), arms, {}),
            rules=ExplorationRules(FLOOR, quota or ProbationQuota(), cap),
            clock=lambda: NOW,
            rng=np.random.default_rng(0),
            records=DecisionRecords(self.ids.issue, self.ids.pseudonym, keep_prompts=keep_prompts),
            funds=CallFunds(SpendTracker(limits or SpendLimits(), lambda: NOW)),
        )

    def _live(self, arms: Sequence[Arm], policy: Callable[..., Policy]) -> LivePolicy:
        """The policy at its prior: nothing is ever published here."""
        return LivePolicy(
            Publications(connect("redis://127.0.0.1:1"), "nowhere", "none"),
            lambda: policy(d=self.encoder.d, fingerprint=self.encoder.fingerprint),
            [one.name for one in arms],
            cache=LocalState(self._folder, "nowhere", "none"),
            clock=lambda: NOW,
        )


def two(**changes: Any) -> list[Arm]:
    """A cheap arm and a dear one; `changes` are the dear one's."""
    dear = arm("large", "http://127.0.0.1:9", price=DEAR)
    return [arm("small", "http://127.0.0.1:9", price=CHEAP), replace(dear, **changes)]


async def taught(
    router: Router, qualities: dict[str, float], *, tenant: str = "default", weight: float = 400.0
) -> None:
    """Teach a tenant's policy what answers to the query were worth."""
    features = (await router.encoder.encode(QUERY)).features
    router.live.policy_for(tenant).learn(
        [
            RewardChange(name, features, weight, weight * quality, weight * quality**2)
            for name, quality in qualities.items()
        ]
    )
