"""What follows a configuration and a pool that change while the router runs."""

import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from highwayman.env.errors import StoreUnavailable
from highwayman.env.pool.changes.pool_changes import changed_pool
from highwayman.feedback.log.redis.redis import connect
from highwayman.serving.completions.conversations.conversations import ConversationTracker
from highwayman.serving.metrics import Metrics
from highwayman.serving.reload.live_config import LiveConfig
from highwayman.serving.reload.reloader import LiveParts, Reloader
from highwayman.serving.reload.shared_state import SharedConfig, SharedState
from highwayman.serving.state.announced_config import active_config
from highwayman.serving.state.learner_factory import LearnerFactory
from highwayman.serving.wiring.background import start_in_background
from highwayman.serving.wiring.checks import check_arms, check_configuration
from highwayman.serving.wiring.conversations import turn_needs
from highwayman.serving.wiring.feedback import FeedbackComponents
from highwayman.serving.wiring.log import LogComponents
from highwayman.serving.wiring.quotas import follow_quotas
from highwayman.serving.wiring.routing import (
    PolicyComponents,
    RoutingComponents,
    build_control,
    exploration_rules,
    upstream_timeouts,
)
from highwayman.serving.wiring.settings import Settings

log = logging.getLogger(__name__)


async def with_shared_changes(settings: Settings) -> tuple[Settings, SharedState]:
    """Return the settings with what operators have changed of the arms: as in Redis, or without it, as kept here.

    Raises:
        ConfigError: the changes do not go together with the pool file.
    """
    if settings.loaded is None:
        return settings, SharedState()
    client = connect(settings.redis_url, timeout_s=2.0)  # a start without Redis shall not wait long
    try:
        shared = SharedConfig(client, settings.config.namespace, settings.state)
        kept = shared.kept()
        try:
            state = max(await shared.read(), kept, key=lambda state: state.generation)
        except StoreUnavailable:
            state = kept
        if state != kept:
            shared.keep(state)
    finally:
        await client.aclose()
    if state.changes:
        log.info("changed beside the pool file (highwayman pool show): %s", ", ".join(state.changes))
    return replace(settings, arms=changed_pool(settings.loaded.pool, state.changes).arms), state


@dataclass(frozen=True, slots=True)
class LiveFollowers:
    """The parts that follow, and who else is told."""

    log: LogComponents
    policy: PolicyComponents
    routing: RoutingComponents
    feedback: FeedbackComponents
    conversations: ConversationTracker
    metrics: Metrics
    others: list[Callable[[LiveConfig], None]]  # called last; they never raise

    def factory(self, live: LiveConfig) -> LearnerFactory:
        """Return what decides which lineage is learned, which is the same as before."""
        return replace(self.log.factory, config=live.config, arms=live.arms)

    def check(self, live: LiveConfig) -> Sequence[str]:
        """Return what of it needs a restart beside keys of the configuration. Raises ConfigError."""
        check_configuration(self.factory(live))
        check_arms(live.config, live.arms, named_zones=[model.arm.zone for model in live.loaded.pool.named])
        asked = () if self.routing.power is None else self.routing.power.urls
        return [
            *(f"pool.{arm.name}.power_url" for arm in live.arms if arm.power_url not in {None, *asked}),
            *(
                f"pool.{arm.name}.api_key_env ({arm.api_key_env} is not set here)"
                for arm in live.arms
                if arm.api_key_env is not None and arm.api_key_env not in os.environ
            ),
        ]

    def describe(self, live: LiveConfig) -> str:
        """Return what is announced of it as in force."""
        objectives = live.config.objectives(self.log.objectives.spread)
        return active_config(self.factory(live), objectives, live.loaded.pool.entries)

    def on_reload(self, taken: bool) -> None:
        """Let metrics tell whether what was to be put in force was."""
        self.metrics.on_reload(taken=taken, at=time.time())

    def use(self, live: LiveConfig) -> None:
        """Put it in force; requests under way end as they began."""
        config, arms, names = live.config, live.arms, [arm.name for arm in live.arms]
        routing, router = self.routing, self.routing.router
        gone = [name for name in routing.pool.arms if name not in names]
        self.policy.live.add_arms(names)
        self.policy.ramp.add_arms(names)
        self.log.namespace_sync.follow(self.factory(live), live.loaded.pool.entries)
        self.log.objectives.follow(config, arms)
        if routing.poller is not None:
            routing.poller.follow(arms)
        if routing.power is not None:
            routing.power.follow(arms)
        routing.pool.replace_arms(arms)
        routing.upstream.follow(upstream_timeouts(config.limits))
        routing.follow_budget(config.budget)
        follow_quotas(routing.quotas, config)
        router.tenants = config.tenants
        before, router.rules = router.rules, exploration_rules(config, self.policy.live.policy)
        if before.cap is not None and router.rules.cap is not None:
            router.rules.cap.go_on_from(before.cap)
        router.control, router.records.keep_prompts = build_control(config, routing.pool), config.retention.prompts
        self.conversations.follow(**turn_needs(config, arms))
        if self.feedback.judge is not None:
            judging = [routing.pool.arm(name) for name in config.feedback.judge.arms]
            self.feedback.judge.judge.arms = judging
        for name in gone:
            self.metrics.on_health(name, resting=0, chance=1.0)
        self.metrics.start_at_zero(arms)
        for other in self.others:
            other(live)


def build_reloader(
    stack: AsyncExitStack, settings: Settings, state: SharedState, followers: LiveFollowers
) -> Reloader | None:
    """Return what keeps the router in step with its files and with other workers, None where it has no files."""
    if settings.loaded is None:
        return None
    log = followers.log
    running = LiveConfig(settings.loaded, state.changes, settings.config, settings.arms)
    reloader = Reloader(
        running,
        state,
        shared=SharedConfig(log.client, settings.config.namespace, settings.state),
        store=log.store,
        parts=LiveParts(followers.check, followers.use, followers.describe, followers.on_reload),
        worker=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(2)}",
    )
    start_in_background(stack, reloader.run(), settings.on_failure)
    return reloader
