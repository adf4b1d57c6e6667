"""From a parsed request to a decision and the order in which arms are tried. Knows no HTTP."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from highwayman.bandit.draw import Draw, draw
from highwayman.env.encoder import Encoder
from highwayman.env.errors import NoEligibleArm, UnknownArm
from highwayman.env.objective import Objective
from highwayman.env.pool import Pool
from highwayman.env.pricing import priced
from highwayman.env.types import Arm, Context, Decision, Floats, Mode, Query
from highwayman.serving.live_policy import LivePolicy

TENANT = "default"
AS_NAMED = "as_named"  # the objective of a caller who named an arm


@dataclass(frozen=True, slots=True)
class Route:
    """A decision and the arms to try: the intended one, then the others by their probability."""

    decision: Decision
    arms: tuple[Arm, ...]


@dataclass(slots=True)
class Router:
    """Decides, request by request, with the live policy."""

    pool: Pool
    encoder: Encoder
    live: LivePolicy
    policy_name: str  # logged with every decision
    objectives: Mapping[str, Objective]  # by alias
    floor: float  # share of every decision's probability spread evenly over the eligible arms
    new_id: Callable[[], str]
    clock: Callable[[], float]  # seconds since the epoch
    rng: np.random.Generator  # draws the arms
    pseudonym: Callable[[str | None], str]  # of the person who asks
    keep_prompts: bool = False  # whether decisions carry the newest message

    async def route(
        self, model: str, query: Query, *, cost_weight: float | None = None, user: str | None = None
    ) -> Route:
        """Return the decision for a request that names `model`: an alias lets the policy choose, an arm is forced.

        `user` is who asks, if the caller says so; the log gets a pseudonym.

        Raises:
            UnknownArm: `model` is neither.
            NoEligibleArm: nobody in the pool may answer, or the arm named may not.
        """
        objective = self.objectives.get(model)
        if objective is None and model not in self.pool.arms:
            known = ", ".join([*self.objectives, *self.pool.arms])
            raise UnknownArm(f"The model {model!r} does not exist. Known here: {known}.")
        context = await self.encoder.encode(query)
        if objective is None:
            route = self._forced(self.pool.arm(model), query, context)
        else:
            if cost_weight is not None:
                objective = Objective(objective.name, cost_weight)
            route = self._routed(objective, query, context)
        if not (user or self.keep_prompts):
            return route
        prompt = query.text if self.keep_prompts else None
        return replace(route, decision=replace(route.decision, user=self.pseudonym(user), prompt=prompt))

    def _forced(self, arm: Arm, query: Query, context: Context) -> Route:
        why = self.pool.refusal(arm, query, context.prompt_tokens)
        if why is not None:
            raise NoEligibleArm(f"The model {arm.name!r} may not answer this request: it {why}.")
        certain = Draw(0, np.ones(1), propensity=1.0)
        decision = self._decision((arm,), context, np.zeros(1), certain, objective=AS_NAMED, mode=Mode.FORCED)
        return Route(decision, (arm,))

    def _routed(self, objective: Objective, query: Query, context: Context) -> Route:
        arms = self.pool.eligible(query, context.prompt_tokens)
        prices = self._penalties(arms, objective, query, context)
        live = self.live.policy.probs(context, [arm.name for arm in arms], prices)
        drawn = draw(live, floor=self.floor, rng=self.rng)
        decision = self._decision(arms, context, prices, drawn, objective=objective.name, mode=Mode.ROUTE)
        others = sorted((k for k in range(len(arms)) if k != drawn.action), key=lambda k: -drawn.probs[k])
        return Route(decision, tuple(arms[k] for k in (drawn.action, *others)))

    def _penalties(self, arms: tuple[Arm, ...], objective: Objective, query: Query, context: Context) -> Floats:
        return priced(
            [arm.name for arm in arms],
            self.pool.arms.values(),
            lambda name: self.live.tally.arm(name).token_use,
            cost_weight=objective.cost_weight,
            prompt_tokens=context.prompt_tokens,
            max_tokens=query.max_tokens,
        )

    def _decision(
        self, arms: tuple[Arm, ...], context: Context, prices: Floats, drawn: Draw, *, objective: str, mode: Mode
    ) -> Decision:
        return Decision(
            id=self.new_id(),
            tenant=TENANT,
            at=self.clock(),
            context=context,
            arms=tuple(arm.name for arm in arms),
            penalties=prices,
            probs=drawn.probs,
            action=drawn.action,
            propensity=drawn.propensity,
            policy=self.policy_name,
            policy_version=self.live.version,
            objective=objective,
            mode=mode,
        )
