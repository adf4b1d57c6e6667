"""From a parsed request to a decision and the order in which arms are tried. Knows no HTTP."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from highwayman.bandit.draw import Draw, draw, mix, one_hot_argmax
from highwayman.bandit.exploration_cap import ExplorationCap, mix_with_greedy
from highwayman.bandit.policy import Policy, PredictsQuality
from highwayman.bandit.probation import ProbationQuota, with_minimums
from highwayman.env.cost.objective import Objective
from highwayman.env.cost.penalties import UsageEstimates, arm_penalties, estimate_usage, expected_usd
from highwayman.env.encoder.encoder import Encoder
from highwayman.env.errors import BudgetExhausted, NoEligibleArm, UnknownArm
from highwayman.env.pool.eligibility import Pool
from highwayman.env.types import DEFAULT_TENANT, Arm, ArmState, Context, Decision, Floats, Mode, Query
from highwayman.serving.completions.routing_options import RoutingOptions
from highwayman.serving.completions.spend_tracker import SpendTracker
from highwayman.serving.state.live_policy import LivePolicy

DIRECT = "as_named"  # the objective of a caller who named an arm
NO_OVERRIDES = RoutingOptions()


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """Who asks, and what else the request is called."""

    tenant: str = DEFAULT_TENANT
    user: str | None = None  # the person, as the caller names them
    links: tuple[str, ...] = ()  # digests of the ids that the client sent along


ANONYMOUS_ORIGIN = RequestOrigin()


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
    new_id: Callable[[str], str]  # for a tenant
    clock: Callable[[], float]  # seconds since the epoch
    rng: np.random.Generator  # draws the arms
    pseudonym: Callable[[str | None], str]  # of the person who asks
    spend_tracker: SpendTracker
    cap: ExplorationCap | None = None  # the tenant's; None: exploration may cost what it does
    probation: ProbationQuota = field(default_factory=ProbationQuota)  # what arms on probation get
    keep_prompts: bool = False  # whether decisions carry the newest message

    async def route(
        self,
        model: str,
        query: Query,
        *,
        options: RoutingOptions = NO_OVERRIDES,
        origin: RequestOrigin = ANONYMOUS_ORIGIN,
    ) -> Route:
        """Return the decision for a request that names `model`: an alias lets the policy choose, an arm is forced.

        `options` is what the caller wants of this one request. Of the person who asks, if the caller names one, the log
        gets a pseudonym.

        Raises:
            UnknownArm: `model` is neither.
            NoEligibleArm: nobody in the pool may answer, or the arm named may not.
            BudgetExhausted: a hard ceiling allows no arm.
        """
        objective = self.objectives.get(model if options.alias is None or model in self.pool.arms else options.alias)
        if objective is None and model not in self.pool.arms:
            known = ", ".join([*self.objectives, *self.pool.arms])
            raise UnknownArm(f"The model {model!r} does not exist. Known here: {known}.")
        context = await self.encoder.encode(query)
        if objective is None:
            route = self._forced(self.pool.arm(model), query, context, origin.tenant)
        else:
            route = self._routed(options.apply_to(objective), query, context, origin.tenant)
        if not (origin.user or origin.links or self.keep_prompts):
            return route
        prompt = query.text if self.keep_prompts else None
        told = replace(route.decision, user=self.pseudonym(origin.user), prompt=prompt, links=origin.links)
        return replace(route, decision=told)

    def _forced(self, arm: Arm, query: Query, context: Context, tenant: str) -> Route:
        why = self.pool.refusal(arm, query, context.prompt_tokens)
        if why is not None:
            raise NoEligibleArm(f"The model {arm.name!r} may not answer this request: it {why}.")
        certain = Draw(0, np.ones(1), propensity=1.0)
        decision = self._decision(
            (arm,), context, np.zeros(1), certain, objective=DIRECT, mode=Mode.FORCED, tenant=tenant
        )
        return Route(decision, (arm,))

    def _routed(self, objective: Objective, query: Query, context: Context, tenant: str) -> Route:
        policy = self.live.policy_for(tenant)
        self.spend_tracker.on_published(self.live.tally, self.live.position)
        estimates = self._quotes(query, context)
        arms = self._allowed(self.pool.eligible(query, context.prompt_tokens), estimates, objective)
        arms = _good_enough(arms, context, policy, objective.min_quality)
        names = [arm.name for arm in arms]
        usd = expected_usd(names, estimates)
        prices = arm_penalties(names, estimates, objective) + self.spend_tracker.penalties(usd)
        explores = objective.explore and not query.in_tool_loop
        drawn = self._drawn(policy, arms, context, prices, usd=usd, explores=explores)
        decision = self._decision(
            arms, context, prices, drawn, objective=objective.name, mode=Mode.ROUTE, tenant=tenant
        )
        self.spend_tracker.on_decision(decision, float(usd[drawn.action]))
        others = sorted((k for k in range(len(arms)) if k != drawn.action), key=lambda k: -drawn.probs[k])
        return Route(decision, tuple(arms[k] for k in (drawn.action, *others)))

    def _drawn(
        self, policy: Policy, arms: tuple[Arm, ...], context: Context, prices: Floats, *, usd: Floats, explores: bool
    ) -> Draw:
        """Return the arm drawn from the policy's probabilities: without exploration, with all of it, or with a share.

        Quotas of arms on trial hold in either part: their dollars have a cap of their own.
        """
        names = [arm.name for arm in arms]
        live = policy.probs(context, names, prices)
        if not explores:
            return draw(one_hot_argmax(live), floor=0.0, rng=self.rng)
        quotas = self.probation.minimums(
            [self.spend_tracker.spent_usd(arm.name) if arm.state is ArmState.PROBATION else None for arm in arms]
        )
        probs, floor = with_minimums(live, quotas), self.floor
        if self.cap is not None:
            worth = policy.expected_quality(context, names) - prices if isinstance(policy, PredictsQuality) else None
            greedy = one_hot_argmax(live if worth is None else worth)
            share = self.cap.share(
                mix(live, floor=floor), int(greedy.argmax()), usd=usd, utilities=worth, at=self.clock()
            )
            probs, floor = mix_with_greedy(probs, with_minimums(greedy, quotas), floor=floor, share=share)
        return draw(probs, floor=floor, rng=self.rng)

    def _quotes(self, query: Query, context: Context) -> UsageEstimates:
        return estimate_usage(
            self.pool.arms.values(),
            lambda name: self.live.tally.arm(name).token_use,
            prompt_tokens=context.prompt_tokens,
            max_tokens=query.max_tokens,
            under_way=self.spend_tracker.in_flight,
        )

    def _allowed(self, arms: tuple[Arm, ...], estimates: UsageEstimates, objective: Objective) -> tuple[Arm, ...]:
        """Return the arms that neither the caller's limits nor a hard budget rules out."""
        if objective.max_usd is not None:
            arms = _within(arms, estimates, objective.max_usd)
        barred = self.spend_tracker.over_budget(expected_usd([arm.name for arm in arms], estimates))
        if barred.all():
            raise BudgetExhausted(
                "The budget allows no arm for this request now; a day's budget begins anew at 0:00 UTC."
            )
        return tuple(arm for arm, out in zip(arms, barred, strict=True) if not out)

    def _decision(
        self,
        arms: tuple[Arm, ...],
        context: Context,
        prices: Floats,
        drawn: Draw,
        *,
        objective: str,
        mode: Mode,
        tenant: str,
    ) -> Decision:
        return Decision(
            id=self.new_id(tenant),
            tenant=tenant,
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


def _good_enough(arms: tuple[Arm, ...], context: Context, policy: Policy, min_quality: float | None) -> tuple[Arm, ...]:
    """Return the arms from which such a quality is expected, the best one if there is none."""
    if min_quality is None or not isinstance(policy, PredictsQuality):
        return arms
    expected = policy.expected_quality(context, [arm.name for arm in arms])
    good = tuple(arm for arm, one in zip(arms, expected, strict=True) if one >= min_quality)
    return good or (arms[int(expected.argmax())],)


def _within(arms: tuple[Arm, ...], estimates: UsageEstimates, max_usd: float) -> tuple[Arm, ...]:
    """Return the arms expected to cost at most that; an arm without a price is not known to. Raises NoEligibleArm."""
    found = tuple(arm for arm in arms if (usd := estimates[arm.name].usd) is not None and usd <= max_usd)
    if not found:
        known = {arm.name: estimates[arm.name].usd for arm in arms}
        each = "; ".join(
            f"{name} {'has no price' if usd is None else f'about ${usd:.2g}'}" for name, usd in known.items()
        )
        raise NoEligibleArm(f"No arm may answer for at most ${max_usd:.2g}: {each}.")
    return found
