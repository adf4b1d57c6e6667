"""What decides who answers, and what calls them."""

import contextlib
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import numpy as np

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.policy import Policy, PredictsQuality
from highwayman.env.errors import ConfigError, StoreUnavailable
from highwayman.env.load.poller import LoadPoller
from highwayman.env.load.power import PowerMeter
from highwayman.env.load.power_poller import PowerPoller
from highwayman.env.load.replica_loads import ReplicaLoads
from highwayman.env.pool.eligibility import Pool
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.tasks import BackgroundTasks
from highwayman.env.types import Outcome
from highwayman.env.upstream.answer_observer import AnswerObserver
from highwayman.env.upstream.client import Upstream, UpstreamTimeouts
from highwayman.feedback.log.shared_dollars import SharedDollars
from highwayman.feedback.tournament.scored_learner import CONFIGURED
from highwayman.serving.completions.quota_gate import QuotaGate
from highwayman.serving.completions.routing.call_funds import CallFunds
from highwayman.serving.completions.routing.control_baseline import ControlBaseline
from highwayman.serving.completions.routing.day_claims import DayClaims
from highwayman.serving.completions.routing.decision_records import DecisionRecords
from highwayman.serving.completions.routing.router import Router
from highwayman.serving.completions.routing.spend_tracker import SpendTracker
from highwayman.serving.config.config import Config
from highwayman.serving.config.resources.limits import LimitsConfig
from highwayman.serving.config.resources.spending import BudgetConfig
from highwayman.serving.metrics import Metrics
from highwayman.serving.state.live_policy import LivePolicy
from highwayman.serving.state.live_ramp import LiveRamp, OwnRules
from highwayman.serving.state.local_state import LocalState
from highwayman.serving.wiring.background import start_in_background
from highwayman.serving.wiring.log import LogComponents
from highwayman.serving.wiring.quotas import build_quotas
from highwayman.serving.wiring.settings import Settings

_POWER_EVERY_S = 1.0  # between two readings of power, where no load is read
_FRESH_S = 5.0  # for which what a replica says of its load is believed, at least


@dataclass(frozen=True, slots=True)
class PolicyComponents:
    """The policy in force, and how much is tried out with it."""

    live: LivePolicy
    rules: ExplorationRules
    ramp: LiveRamp


@dataclass(frozen=True, slots=True)
class RoutingComponents:
    """The pool, the way to it, and who decides."""

    pool: Pool
    upstream: Upstream
    background: BackgroundTasks  # what outlives its request
    rng: np.random.Generator  # the router draws with it
    spend_tracker: SpendTracker
    router: Router
    power: PowerMeter | None  # None: no arm says who tells what its servers draw
    poller: LoadPoller | None  # None: nobody is asked how busy it is
    quotas: QuotaGate
    claims: DayClaims  # of a hard day, for all processes

    def on_outcome(self, outcome: Outcome) -> None:
        """Charge a call that ended."""
        self.spend_tracker.on_outcome(outcome)
        self.quotas.on_outcome(outcome)
        self.claims.on_outcome(outcome)

    def follow_budget(self, budget: BudgetConfig) -> None:
        """Go on with other ceilings."""
        self.spend_tracker.follow(budget.limits())
        self.claims.dollars.follow(_hard_day(budget))


def build_policy(stack: AsyncExitStack, log: LogComponents, metrics: Metrics) -> PolicyComponents:
    """Return the policy, still at its prior. Raises ConfigError where it does not say what the cap needs."""
    live = LivePolicy(
        log.factory.publications(log.client),
        log.factory.policy,
        log.factory.arm_names,
        cache=log.local_state,
        clock=time.time,
        on_version=metrics.on_version,
    )
    rules = exploration_rules(log.factory.config, live.policy)
    stack.callback(live.write_cache)
    config = log.factory.config
    ramp = LiveRamp(metrics.on_ramp, _own_rules(config), first=config.tournament.champion)
    return PolicyComponents(live, rules, ramp)


def _own_rules(config: Config) -> dict[str, OwnRules]:
    """Return the rules of each contender that has its own."""
    own = {CONFIGURED: OwnRules(config.policy.floor, config.policy.floor_loss)}
    for challenger in config.tournament.challengers:
        policy, name = challenger.policy, challenger.name
        own[name] = OwnRules(policy.floor, policy.floor_loss, challenger.own_objective())
    return own


async def start_ramp(stack: AsyncExitStack, settings: Settings, log: LogComponents, ramp: LiveRamp) -> None:
    """Follow who decides for how much of the traffic; if Redis is away at the start, the configured policy does."""
    factories = {factory.contender: factory for factory in log.factory.contenders()}

    def make_live(name: str) -> LivePolicy | None:
        factory = factories.get(name)
        if factory is None:
            return None
        cache = LocalState(settings.state, settings.config.namespace, factory.lineage)
        publications = factory.publications(log.client)
        return LivePolicy(publications, factory.policy, factory.arm_names, cache=cache, clock=time.time)

    with contextlib.suppress(StoreUnavailable):
        await ramp.refresh(log.store, make_live)
    start_in_background(stack, ramp.run(log.store, make_live), settings.on_failure)


async def build_routing(
    stack: AsyncExitStack,
    settings: Settings,
    log: LogComponents,
    *,
    policy: PolicyComponents,
    spend_tracker: SpendTracker,
    metrics: Metrics,
) -> RoutingComponents:
    """Return what decides and what calls, ready for the first request. Raises ConfigError for a pool that cannot be."""
    health = EndpointHealth(time.monotonic)
    power = _power(settings)
    loads, load_poller = _loads(stack, settings, metrics, power)
    if power is not None:
        power.running = running_at(loads)
        poller = PowerPoller(power, every_s=settings.config.limits.replica_load_s or _POWER_EVERY_S)
        start_in_background(stack, poller.run(), lambda: None)
    pool = Pool(settings.arms, health, loads=loads, clock=time.monotonic)
    upstream = Upstream(
        health,
        time.monotonic,
        upstream_timeouts(settings.config.limits),
        loads=loads,
        observer=AnswerObserver(pool.on_answered, pool.on_window_too_small, pool.tools.on_refused),
    )
    await upstream.start()
    stack.push_async_callback(upstream.close)
    background = BackgroundTasks()
    stack.push_async_callback(background.drain)
    rng = np.random.default_rng(settings.seed)
    claims = _claims(log, policy.live, spend_tracker, background)
    router = _router(log, policy, pool=pool, spend_tracker=spend_tracker, rng=rng, claims=claims)
    return RoutingComponents(
        pool, upstream, background, rng, spend_tracker, router, power, load_poller, build_quotas(stack, log), claims
    )


def _claims(
    log: LogComponents, live: LivePolicy, spend_tracker: SpendTracker, background: BackgroundTasks
) -> DayClaims:
    """Return what claims a hard day's dollars for all processes, nothing as long as no day is hard."""
    config = log.factory.config
    dollars = SharedDollars(
        log.client, config.namespace, name="budget", usd_per_day=_hard_day(config.budget), clock=time.time
    )

    def known_usd() -> float:
        spend_tracker.on_published(live.tally, live.position)
        return spend_tracker.spent_today_usd()

    return DayClaims(dollars, background, known_usd)


def _hard_day(budget: BudgetConfig) -> float | None:
    return budget.usd_per_day if budget.hard else None


def _power(settings: Settings) -> PowerMeter | None:
    """Return what shares out the power of the pool's servers; None where no arm says who tells it."""
    measured = [arm for arm in settings.arms if arm.power_url is not None]
    every_s = settings.config.limits.replica_load_s or _POWER_EVERY_S
    return PowerMeter(measured, time.monotonic, fresh_s=max(_FRESH_S, 3 * every_s)) if measured else None


def running_at(loads: ReplicaLoads) -> Callable[[str], float]:
    """Return what says how many requests run at an endpoint: as it says itself, and at least those from here."""

    def running(endpoint: str) -> float:
        state = loads.state(endpoint)
        return max(float(loads.own_calls(endpoint)), 0.0 if state is None else state.running)

    return running


def _loads(
    stack: AsyncExitStack, settings: Settings, metrics: Metrics, power: PowerMeter | None
) -> tuple[ReplicaLoads, LoadPoller | None]:
    """Return what knows how busy the replicas are, and what asks them beside the requests, if that is wanted."""
    every_s = settings.config.limits.replica_load_s
    observed = {} if power is None else {"before_change": power.before_change}
    loads = ReplicaLoads(time.monotonic, fresh_s=max(_FRESH_S, 3 * every_s), **observed)
    poller = None
    if every_s:
        poller = LoadPoller(
            settings.arms, loads, clock=time.monotonic, rng=np.random.default_rng(), every_s=every_s,
            on_state=metrics.on_replica_load,
        )  # fmt: skip
        start_in_background(stack, poller.run(), lambda: None)  # without it, calls from here are what is known
    return loads, poller


def _router(
    log: LogComponents,
    policy: PolicyComponents,
    *,
    pool: Pool,
    spend_tracker: SpendTracker,
    rng: np.random.Generator,
    claims: DayClaims,
) -> Router:
    config = log.factory.config
    for name, tenant in config.tenants.items():
        tenant.check_arms(name, pool.arms)
    return Router(
        pool=pool,
        encoder=log.factory.encoder,
        live=policy.live,
        policy_name=config.policy.name,
        objectives=log.objectives,
        rules=policy.rules,
        clock=time.time,
        rng=rng,
        records=DecisionRecords(log.ids.issue, log.ids.pseudonym, keep_prompts=config.retention.prompts),
        funds=CallFunds(spend_tracker, claims),
        control=build_control(config, pool),
        ramp=policy.ramp,
        tenants=config.tenants,
    )


def build_control(config: Config, pool: Pool) -> ControlBaseline | None:
    """Return who takes part in draws. Raises ConfigError for a baseline that is not in the pool."""
    control = config.control
    if control is None:
        return None
    return ControlBaseline(control.share, control.weights(pool.arms), tuple(pool.arms.values()))


def upstream_timeouts(limits: LimitsConfig) -> UpstreamTimeouts:
    """Return how long calls to model servers may take."""
    return UpstreamTimeouts(
        connect_s=limits.connect_s,
        first_byte_s=limits.first_byte_s,
        silence_s=limits.silence_s,
        all_attempts_s=limits.all_attempts_s,
    )


def exploration_rules(config: Config, policy: Policy) -> ExplorationRules:
    """Return floor, quotas and cap. Raises ConfigError where the policy does not say what the cap needs."""
    if config.exploration.regret_per_request is not None and not isinstance(policy, PredictsQuality):
        raise ConfigError(
            f"exploration.regret_per_request: policy {config.policy.name} does not say what quality it expects; "
            "leave it out, or take a policy that does"
        )
    return ExplorationRules(
        config.policy.floor, config.trial.quota(), config.exploration.cap(), floor_loss=config.policy.floor_loss
    )
