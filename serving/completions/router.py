"""From a parsed request to a decision and the order in which arms are tried. Knows no HTTP."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from highwayman.bandit.decision import Candidates, Choice, ExplorationRules, decide
from highwayman.bandit.draw import Draw
from highwayman.env.cost.objective import Objective
from highwayman.env.cost.penalties import arm_penalties, estimate_usage, expected_usd
from highwayman.env.cost.switching import cache_saving, switch_penalties
from highwayman.env.cost.usage import TokenUse, expected_prompt_tokens
from highwayman.env.encoder.encoder import Encoder
from highwayman.env.encoder.tags import as_named
from highwayman.env.errors import BudgetExhausted, NoEligibleArm, UnknownArm
from highwayman.env.load.queueing import QueueState
from highwayman.env.pool.eligibility import Pool, needed_tokens, tools_hint
from highwayman.env.types import (
    CLIENT_TASK,
    DEFAULT_TENANT,
    NO_EXPLORATION,
    RESTING_FLAG,
    TOOLS_DROPPED,
    Arm,
    ArmState,
    Context,
    Decision,
    Floats,
    Mode,
    Query,
)
from highwayman.serving.completions.continuation import NEW_CONVERSATION, Continuation
from highwayman.serving.completions.routing_options import RoutingOptions
from highwayman.serving.completions.spend_tracker import SpendTracker
from highwayman.serving.state.live_policy import LivePolicy
from highwayman.serving.state.pool_objectives import PoolObjectives

DIRECT = "as_named"  # the objective of a caller who named an arm
NO_OVERRIDES = RoutingOptions()


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """Whose request it is, and under which other ids it is known."""

    tenant: str = DEFAULT_TENANT
    user: str | None = None  # the person, as the caller names them
    links: tuple[str, ...] = ()  # digests of the ids that the client sent along


ANONYMOUS_ORIGIN = RequestOrigin()


@dataclass(frozen=True, slots=True)
class Route:
    """A decision and the arms to try: the intended one, then the others by their probability."""

    decision: Decision
    arms: tuple[Arm, ...]
    affinity: str = ""  # what names the conversation, whose replicas are asked before others
    needed_tokens: Callable[[Arm], int] | None = field(default=None, compare=False)  # of prompt and answer at an arm
    tools_dropped: bool = False  # whether the request goes on without the tools it offers


@dataclass(slots=True)
class Router:
    """Decides, request by request, with the live policy."""

    pool: Pool
    encoder: Encoder
    live: LivePolicy
    policy_name: str  # logged with every decision
    objectives: PoolObjectives  # by alias
    rules: ExplorationRules  # the cap among them counts for one tenant
    new_id: Callable[[str], str]  # for a tenant
    clock: Callable[[], float]  # seconds since the epoch
    rng: np.random.Generator  # draws the arms
    pseudonym: Callable[[str | None], str]  # of the person who asks
    spend_tracker: SpendTracker
    keep_prompts: bool = False  # whether decisions carry the newest message

    async def route(
        self,
        model: str,
        query: Query,
        *,
        options: RoutingOptions = NO_OVERRIDES,
        origin: RequestOrigin = ANONYMOUS_ORIGIN,
        continuation: Continuation = NEW_CONVERSATION,
    ) -> Route:
        """Return the decision for a request that names `model`: an alias lets the policy choose, an arm is forced.

        `options` is what the caller wants of this one request. Of the person who asks, if the caller names one, the log
        gets a pseudonym. A tool's result goes to the arm that called the tool, as long as that may answer.

        Raises:
            UnknownArm: `model` is neither.
            NoEligibleArm: nobody in the pool may answer, or the arm named may not.
            BudgetExhausted: a hard ceiling allows no arm.
        """
        objective = self.objectives.get(model if options.alias is None or model in self.pool.arms else options.alias)
        if objective is None and model not in self.pool.arms:
            known_models = ", ".join([*self.objectives, *self.pool.arms])
            raise UnknownArm(f"The model {model!r} does not exist. Known here: {known_models}.")
        context = await self.encoder.encode(query)
        if continuation.is_client_task:
            context = replace(context, flags=context.flags | {CLIENT_TASK})
        asked = self.pool.arms.values() if objective is not None else [self.pool.arm(model)]
        tools_dropped = self._only_without_tools(asked, query, context)
        if tools_dropped:
            query = query.without_tools()
            context = _without_tools(context, query)
        if objective is None:
            route = self._forced(self.pool.arm(model), query, as_named(context), origin.tenant)
        else:
            route = self._routed(
                options.apply_to(objective, self.objectives.spread),
                query,
                context,
                tenant=origin.tenant,
                continuation=continuation,
            )
        prompt_tokens = self._prompt_tokens(context)
        route = replace(
            route,
            affinity=continuation.affinity,
            needed_tokens=lambda arm: needed_tokens(arm, query, prompt_tokens),
            tools_dropped=tools_dropped,
        )
        if not (origin.user or origin.links or self.keep_prompts):
            return route
        prompt = query.text if self.keep_prompts else None
        decision = replace(route.decision, user=self.pseudonym(origin.user), prompt=prompt, links=origin.links)
        return replace(route, decision=decision)

    def _only_without_tools(self, arms: Collection[Arm], query: Query, context: Context) -> bool:
        """Return whether none of the arms may answer with the tools, which nobody has to call, and one may without."""
        if not (query.tools and query.tools_optional):
            return False
        left = query.without_tools()
        tokens, tokens_left = self._prompt_tokens(context), self._prompt_tokens(_without_tools(context, left))
        refused = [arm for arm in arms if self.pool.refusal(arm, query, tokens) is not None]
        return len(refused) == len(arms) and any(self.pool.refusal(arm, left, tokens_left) is None for arm in refused)

    def _forced(self, arm: Arm, query: Query, context: Context, tenant: str) -> Route:
        refusal = self.pool.refusal(arm, query, self._prompt_tokens(context))
        if refusal is not None:
            hint = tools_hint(refusal)
            raise NoEligibleArm(f"The model {arm.name!r} may not answer this request: it {refusal}{hint or '.'}")
        certain = Draw(0, np.ones(1), propensity=1.0)
        decision = self._decision(
            (arm.name,),
            context,
            np.zeros(1),
            certain,
            at=self.clock(),
            objective=DIRECT,
            mode=Mode.FORCED,
            tenant=tenant,
        )
        return Route(decision, (arm,))

    def _routed(
        self, objective: Objective, query: Query, context: Context, *, tenant: str, continuation: Continuation
    ) -> Route:
        self.spend_tracker.on_published(self.live.tally, self.live.position)
        # What is explored is explored at a conversation's start.
        if query.in_tool_loop or continuation.reads_tool_result or continuation.holder is not None:
            objective = objective.with_overrides(explore=False)
        if not objective.explore:
            context = replace(context, flags=context.flags | {NO_EXPLORATION})
        at = self.clock()
        arms = self.pool.eligible(query, self._prompt_tokens(context))
        resting = self.pool.resting(query, self._prompt_tokens(context), arms)
        if resting:
            context = replace(context, flags=context.flags | {RESTING_FLAG + name for name in resting})
        candidates = self._candidates(arms, query, context, objective, continuation=continuation, at=at)
        sticky = self._sticky(candidates, context, objective, at=at, tenant=tenant, caller=continuation.caller)
        if sticky is not None:
            return sticky
        choice = self._choice(candidates, context, objective, at=at, tenant=tenant)
        candidates, draw = choice.candidates, choice.draw
        decision = self._decision(
            candidates.arms,
            context,
            candidates.penalties,
            draw,
            at=at,
            objective=objective.name,
            mode=Mode.ROUTE,
            tenant=tenant,
        )
        self.spend_tracker.on_decision(decision, float(candidates.usd[draw.action]))
        return Route(decision, self._in_order(choice, draw.action))

    def _sticky(
        self,
        candidates: Candidates,
        context: Context,
        objective: Objective,
        *,
        at: float,
        tenant: str,
        caller: str | None,
    ) -> Route | None:
        """Return the way to the arm that called the tool, None where nobody knows it or it may not answer.

        It is no draw: nothing else could have come of it. Should it fail, what the policy would have chosen is next.
        """
        if caller not in candidates.arms:
            return None
        try:  # a quality that is wished for is no reason to change in the middle
            choice = self._choice(candidates, context, replace(objective, min_quality=None), at=at, tenant=tenant)
        except (NoEligibleArm, BudgetExhausted):
            return None
        if caller not in choice.candidates.arms:
            return None
        place = choice.candidates.arms.index(caller)
        decision = self._decision(
            (caller,),
            context,
            choice.candidates.penalties[place : place + 1],
            Draw(0, np.ones(1), propensity=1.0),
            at=at,
            objective=objective.name,
            mode=Mode.STICKY,
            tenant=tenant,
        )
        self.spend_tracker.on_decision(decision, float(choice.candidates.usd[place]))
        return Route(decision, self._in_order(choice, place))

    def _choice(
        self, candidates: Candidates, context: Context, objective: Objective, *, at: float, tenant: str
    ) -> Choice:
        """Return what the decision core draws. Raises NoEligibleArm, BudgetExhausted."""
        return decide(
            self.live.policy_for(tenant),
            context,
            candidates,
            self.rules,
            limits=objective,
            at=at,
            rng=self.rng,
            budget=self.spend_tracker,
        )

    def _in_order(self, choice: Choice, first: int) -> tuple[Arm, ...]:
        """Return the arms of a choice as they are tried: one first, then the others by their probability."""
        names, probs = choice.candidates.arms, choice.draw.probs
        others = sorted((k for k in range(len(names)) if k != first), key=lambda k: -probs[k])
        return tuple(self.pool.arms[names[k]] for k in (first, *others))

    def _candidates(
        self,
        arms: Sequence[Arm],
        query: Query,
        context: Context,
        objective: Objective,
        *,
        continuation: Continuation,
        at: float,
    ) -> Candidates:
        """Return arms that can answer, with what a call to each is expected to cost, and its chance to be answered."""
        estimates = estimate_usage(
            self.pool.arms.values(),
            self._token_use,
            prompt_tokens=context.prompt_tokens,
            max_tokens=query.max_tokens,
            under_way=self.spend_tracker.in_flight,
            script=context.script,
            queue=self._queue if objective.points_per_s else lambda name: None,  # nobody else asks for seconds
            answers=self.live.tally.amounts.expected(context.features, tuple(self.pool.arms)),
        )
        names = tuple(arm.name for arm in arms)
        on_probation = [arm.state is ArmState.PROBATION for arm in arms]
        spent_usd = None
        if any(on_probation):
            spent_usd = [
                self.spend_tracker.spent_usd(name) if is_on_probation else None
                for name, is_on_probation in zip(names, on_probation, strict=True)
            ]
        penalties = arm_penalties(names, estimates, objective)
        holder = self.pool.arms.get(continuation.holder or "")
        if holder is not None:
            cached_tokens = continuation.cached_share * context.prompt_tokens
            savings = {arm.name: cache_saving(arm, self._token_use(arm.name), cached_tokens) for arm in arms}
            penalties = penalties + switch_penalties(names, estimates, objective, holder=holder.name, savings=savings)
        chances = np.array([self.live.tally.arm(name).answer_rate.chance(at) for name in names])
        return Candidates(names, expected_usd(names, estimates), penalties, spent_usd, chances)

    def _queue(self, name: str) -> QueueState | None:
        """Return what is measured of an arm's load: by its servers, or else by the calls from here."""
        return self.pool.loads.queue(self.pool.arms[name]) or self.spend_tracker.queue(name)

    def _token_use(self, name: str) -> TokenUse:
        return self.live.tally.arm(name).token_use

    def _prompt_tokens(self, context: Context) -> Callable[[Arm], int]:
        """Return what tells how many tokens the prompt has for an arm's own tokenizer, as far as it is learned."""
        return lambda arm: expected_prompt_tokens(
            arm, self._token_use(arm.name), prompt_tokens=context.prompt_tokens, script=context.script
        )

    def _decision(
        self,
        arms: tuple[str, ...],
        context: Context,
        penalties: Floats,
        draw: Draw,
        *,
        at: float,
        objective: str,
        mode: Mode,
        tenant: str,
    ) -> Decision:
        return Decision(
            id=self.new_id(tenant),
            tenant=tenant,
            at=at,
            context=context,
            arms=arms,
            penalties=penalties,
            probs=draw.probs,
            action=draw.action,
            propensity=draw.propensity,
            policy=self.policy_name,
            policy_version=self.live.version,
            objective=objective,
            mode=mode,
        )


def _without_tools(context: Context, query: Query) -> Context:
    """Return the context of a request that goes on without its tools, as `query` has it."""
    tokens = context.prompt_tokens if query.prompt_tokens is None else query.prompt_tokens
    return replace(context, prompt_tokens=tokens, flags=context.flags | {TOOLS_DROPPED})
