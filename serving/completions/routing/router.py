"""From a parsed request to a decision and the order in which arms are tried. Knows no HTTP."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from highwayman.bandit.candidates import Candidates
from highwayman.bandit.cascade.returns import option_flags
from highwayman.bandit.decision import Choice, ExplorationRules, decide
from highwayman.bandit.draw import Draw
from highwayman.bandit.policy import Policy
from highwayman.env.cost.objective import Objective
from highwayman.env.encoder.encoder import Encoder
from highwayman.env.encoder.features.tags import as_named
from highwayman.env.errors import BudgetExhausted, DataClassBarred, NoEligibleArm, UnknownArm
from highwayman.env.pool.cached_arms import CACHED_ARMS
from highwayman.env.pool.eligibility import Pool, refuses_data_class, tools_hint
from highwayman.env.types import (
    CLIENT_TASK,
    NO_EXPLORATION,
    TOOLS_DROPPED,
    Arm,
    Context,
    Decision,
    Mode,
    Query,
)
from highwayman.serving.completions.answer_cache.answer_cache import CachedAnswer
from highwayman.serving.completions.conversations.continuation import NEW_CONVERSATION, Continuation
from highwayman.serving.completions.privacy.cleared_encoder import ClearedEncoder
from highwayman.serving.completions.requests.routing_options import NO_OPTIONS, RoutingOptions
from highwayman.serving.completions.routing.call_funds import CallFunds
from highwayman.serving.completions.routing.candidates import CandidateFinder, dials
from highwayman.serving.completions.routing.cascades import CascadeOffer, CascadeRoute
from highwayman.serving.completions.routing.control_baseline import ControlBaseline
from highwayman.serving.completions.routing.decision_records import (
    ANONYMOUS_ORIGIN,
    DecisionRecords,
    Moment,
    RequestOrigin,
)
from highwayman.serving.completions.routing.route import Decided, Route
from highwayman.serving.config.tenants import TenantConfig, tenant_config
from highwayman.serving.state.live_policy import LivePolicy
from highwayman.serving.state.live_ramp import LiveRamp
from highwayman.serving.state.pool_objectives import PoolObjectives

DIRECT = "as_named"  # the objective of a caller who named an arm


@dataclass(slots=True)
class Router:
    """Decides, request by request, with the live policy."""

    pool: Pool
    encoder: Encoder | ClearedEncoder
    live: LivePolicy
    policy_name: str  # logged with every decision
    objectives: PoolObjectives  # by alias
    rules: ExplorationRules  # the cap among them counts for one tenant
    clock: Callable[[], float]  # seconds since the epoch
    rng: np.random.Generator  # draws the arms
    records: DecisionRecords
    funds: CallFunds
    control: ControlBaseline | None = None  # takes part in draws; None: nobody does
    tenants: Mapping[str, TenantConfig] = field(default_factory=dict)  # what is a tenant's own
    ramp: LiveRamp = field(default_factory=LiveRamp)  # who decides in place of the live policy, and for how much
    _known_finder: CandidateFinder | None = field(default=None, init=False)

    @property
    def _finder(self) -> CandidateFinder:
        """What knows the candidates of the pool as it is now, by the tally in force."""
        finder = self._known_finder
        if finder is None or finder.arms is not self.pool.arms:
            finder = self._known_finder = CandidateFinder(self.pool, self.live, self.funds.spend_tracker)
        finder.quotes.follow(self.live.tally)
        return finder

    async def route(
        self,
        model: str,
        query: Query,
        *,
        options: RoutingOptions = NO_OPTIONS,
        origin: RequestOrigin = ANONYMOUS_ORIGIN,
        continuation: Continuation = NEW_CONVERSATION,
        cascade: CascadeOffer | None = None,
        cached: CachedAnswer | None = None,
    ) -> Route:
        """Return the decision for a request that names `model`: an alias lets the policy choose, an arm is forced.

        `options` is what the caller wants of this one request. Of the person who asks, if the caller names one, the log
        gets a pseudonym. A tool's result goes to the arm that called the tool, as long as that may answer. `cascade`
        is what the request may be answered with instead of one arm's answer; None: nothing. A stored answer is given if
        its arm is drawn among the others.

        Raises:
            UnknownArm: `model` is neither.
            NoEligibleArm: nobody in the pool may answer, or the arm named may not.
            BudgetExhausted: a hard ceiling allows no arm.
        """
        alias = model if options.alias is None or model in self.pool.arms else options.alias
        objective = self.objectives.by_alias.get(alias)
        if objective is None and model not in self.pool.arms:
            known_models = ", ".join([*self.objectives, *self.pool.arms])
            raise UnknownArm(f"The model {model!r} does not exist. Known here: {known_models}.")
        named = None if objective is not None else self.pool.arm(model)  # it may be removed meanwhile: it still answers
        own = tenant_config(self.tenants, origin.tenant) if self.tenants else None
        if own is not None:
            query = own.query(query)
            objective = None if objective is None else own.priced(objective)
        context = await self.encoder.encode(query)
        if continuation.is_client_task:
            context = replace(context, flags=context.flags | {CLIENT_TASK})
        has_optional = query.tools > 0 and query.tools_optional
        tools_dropped = has_optional and self._only_without_tools(named, query, context)
        if tools_dropped:
            query = query.without_tools()
            context = _without_tools(context, query)
        if named is not None:
            decided = self._forced(named, query, as_named(context), origin)
        elif objective is not None:
            objective = options.apply_to(objective, self.objectives.spread)
            decide_now = partial(
                self._routed, objective, query, context, origin=origin, continuation=continuation, cascade=cascade,
                cached=cached,
            )  # fmt: skip
            is_hard = self.funds.spend_tracker.is_hard
            decided = await self.funds.within_day(decide_now) if is_hard else decide_now()
        decision, arms, later, funds = decided
        finder = self._known_finder or self._finder  # of the decision
        return Route(
            decision,
            arms,
            affinity=continuation.affinity,
            needed_tokens=lambda arm: finder.needed_tokens(arm, query, context),
            tools_dropped=tools_dropped,
            cascade=later,
            cached=cached if cached is not None and arms[0] is cached.arm else None,
            may_ask=None if funds is None else funds.may_ask,
        )

    def expected_use(self, decision: Decision, query: Query) -> tuple[int, float]:
        """Return the tokens and the dollars that the call of a decision is expected to take."""
        return self._finder.expected_use(decision, query)

    def _only_without_tools(self, named: Arm | None, query: Query, context: Context) -> bool:
        """Return whether none may answer with the tools, which nobody has to call, and one may without."""
        if self._may_answer(named, query, context):
            return False
        left = query.without_tools()
        return self._may_answer(named, left, _without_tools(context, left))

    def _may_answer(self, named: Arm | None, query: Query, context: Context) -> bool:
        if named is not None:
            return self.pool.refusal(named, query, self._prompt_tokens(context)) is None
        return self.pool.is_answerable(query, self._finder.quotes.prompt_tokens(context))

    def _forced(self, arm: Arm, query: Query, context: Context, origin: RequestOrigin) -> Decided:
        refusal = self.pool.refusal(arm, query, self._prompt_tokens(context))
        if refusal is not None:
            hint = tools_hint(refusal)
            kind = NoEligibleArm if refuses_data_class(arm, query, 0) is None else DataClassBarred
            raise kind(f"The model {arm.name!r} may not answer this request: it {refusal}{hint or '.'}")
        draw = Draw(0, np.ones(1), propensity=1.0)
        moment = self._moment(DIRECT, Mode.FORCED, query, origin)
        return Decided(self.records.decision((arm.name,), context, np.zeros(1), draw, moment=moment), (arm,))

    def _routed(
        self,
        objective: Objective,
        query: Query,
        context: Context,
        *,
        origin: RequestOrigin,
        continuation: Continuation,
        cascade: CascadeOffer | None,
        cached: CachedAnswer | None,
    ) -> Decided:
        self.funds.spend_tracker.on_published(self.live.tally, self.live.position)
        # What is explored is explored at a conversation's start.
        if query.in_tool_loop or continuation.reads_tool_result or continuation.holder is not None:
            objective = objective.with_overrides(explore=False)
        if not objective.explore:
            context = replace(context, flags=context.flags | {NO_EXPLORATION})
        moment = self._moment(objective.name, Mode.ROUTE, query, origin)
        finder = self._finder
        answerable, context = finder.answerable(query, context)
        candidates = finder.priced(answerable, query, context, objective, continuation=continuation, at=moment.at)
        if self.ramp.objectives and cached is None:
            priced = partial(finder.priced, answerable, query, context, continuation=continuation, at=moment.at)
            moment = replace(moment, dials=dials(self.ramp.objectives, candidates, priced))
        if cached is not None:
            candidates = finder.with_cached(candidates, cached.arm, objective)
            context = replace(context, flags=context.flags | cached.flags)
        if continuation.caller is not None:
            sticky = self._sticky(candidates, context, objective, moment, caller=continuation.caller)
            if sticky is not None:
                return sticky
        # Where a stored answer may do there is no cascade: no plan goes on to it, nor from it.
        if cascade is None or cached is not None or not cascade.serves(objective.name, continuation):
            choice, later = self._choice(candidates, context, objective, moment), None
        else:
            choice, later = self._first_of_stages(
                candidates, query, context, objective=objective, moment=moment, cascade=cascade
            )
            if later.is_open:
                moment = replace(moment, mode=Mode.CASCADE)
                context = replace(context, flags=context.flags | option_flags(choice.candidates.options))
                if choice.control is not None:
                    choice = replace(choice, control=choice.control.apart(choice.draw.propensity))
        candidates, draw = choice.candidates, choice.draw
        if choice.control is not None:
            if choice.control.is_control:  # the baseline is that arm alone, whatever its answer looks like
                later = None
            context = replace(context, flags=context.flags | choice.control.flags)
        decision = self.records.decision(candidates.arms, context, candidates.penalties, draw, moment=moment)
        funds = self.funds.reserve(decision, candidates, draw.action)
        return Decided(decision, self._in_order(choice, draw.action), later, funds)

    def _first_of_stages(
        self,
        candidates: Candidates,
        query: Query,
        context: Context,
        *,
        objective: Objective,
        moment: Moment,
        cascade: CascadeOffer,
    ) -> tuple[Choice, CascadeRoute]:
        """Return whose answer is the first, and what the stages after it are decided with."""
        policy, budget = self._champion(moment.origin.tenant), self.funds.spend_tracker.rule
        waiting_s = None
        if cascade.streams and objective.points_per_s:
            waiting_s = self._finder.seconds(candidates.arms, query, context)
        options = cascade.options(policy, context, candidates, objective, budget=budget, waiting_s=waiting_s)
        candidates = replace(candidates, penalties=candidates.penalties - options, options=options)
        choice = self._choice(candidates, context, objective, moment)
        return choice, cascade.route(policy, context, choice, limits=objective, budget=budget)

    def _sticky(
        self, candidates: Candidates, context: Context, objective: Objective, moment: Moment, *, caller: str
    ) -> Decided | None:
        """Return the way to the arm that called the tool, None where it may not answer.

        It is no draw: nothing else could have come of it. Should it fail, what the policy would have chosen is next.
        """
        if caller not in candidates.arms:
            return None
        try:  # a quality that is wished for is no reason to change in the middle
            choice = self._choice(candidates, context, replace(objective, min_quality=None), moment)
        except (NoEligibleArm, BudgetExhausted):
            return None
        if caller not in choice.candidates.arms:
            return None
        place = choice.candidates.arms.index(caller)
        penalties, draw = choice.candidates.penalties[place : place + 1], Draw(0, np.ones(1), propensity=1.0)
        decision = self.records.decision((caller,), context, penalties, draw, moment=replace(moment, mode=Mode.STICKY))
        funds = self.funds.reserve(decision, choice.candidates, place)
        return Decided(decision, self._in_order(choice, place), funds=funds)

    def _choice(self, candidates: Candidates, context: Context, objective: Objective, moment: Moment) -> Choice:
        """Return what the decision core draws. Raises NoEligibleArm, BudgetExhausted."""
        tenant = moment.origin.tenant
        rules = self.ramp.rules_for(tenant, self.rules, moment.dials) if self.ramp.is_on else self.rules
        if self.control is not None and objective.explore:
            rules = replace(rules, control=self.control.slice_for(tenant, self.live.tally))
        return decide(
            self._champion(tenant),
            context,
            candidates,
            rules,
            limits=objective,
            at=moment.at,
            rng=self.rng,
            budget=self.funds.spend_tracker.rule,
        )

    def _champion(self, tenant: str) -> Policy:
        """Return the policy that decides for a tenant, beside whoever is tried on a share of its traffic."""
        champion = self.ramp.champion_for(tenant) if self.ramp.is_on else None
        return champion or self.live.policy_for(tenant)

    def _in_order(self, choice: Choice, first: int) -> tuple[Arm, ...]:
        """Return the arms of a choice as they are tried: one first, then the others by their probability.

        One that gives stored answers can only be first: whoever is asked in vain is followed by who can be asked.
        """
        names, arms = choice.candidates.arms, self.pool.arms
        places = (-choice.draw.probs).argsort(kind="stable").tolist()
        places.remove(first)
        others = [arms[name] for k in places if (name := names[k]) in arms]
        return (arms[names[first]] if names[first] in arms else CACHED_ARMS[names[first]], *others)

    def _prompt_tokens(self, context: Context) -> Callable[[Arm], int]:
        """Return what tells how many tokens the prompt has for an arm's own tokenizer, as far as it is learned."""
        quotes = self._finder.quotes
        return lambda arm: quotes.prompt_tokens_of(arm.name, context)

    def _moment(self, objective: str, mode: Mode, query: Query, origin: RequestOrigin) -> Moment:
        policy = self.ramp.policy_name or self.policy_name
        return Moment(self.clock(), objective, mode, query.text, origin, policy, self.live.stamp.version)


def _without_tools(context: Context, query: Query) -> Context:
    """Return the context of a request that goes on without its tools, as `query` has it."""
    tokens = context.prompt_tokens if query.prompt_tokens is None else query.prompt_tokens
    return replace(context, prompt_tokens=tokens, flags=context.flags | {TOOLS_DROPPED})
