"""What knows the turn before, put together as the configuration has it."""

import time
from collections.abc import Sequence

from highwayman.env.tasks import BackgroundTasks
from highwayman.env.types import Arm
from highwayman.serving.completions.conversations.conversation_memory import ConversationMemory
from highwayman.serving.completions.conversations.conversations import ConversationTracker
from highwayman.serving.config.config import Config
from highwayman.serving.wiring.log import LogComponents
from highwayman.serving.wiring.settings import Settings


def build_conversations(settings: Settings, log: LogComponents, background: BackgroundTasks) -> ConversationTracker:
    """Return it; nothing is remembered yet, but what other processes left in Redis."""
    config = settings.config
    memory = ConversationMemory(
        log.client,
        config.namespace,
        time.monotonic,
        patience_s=config.limits.redis_s,
        lifetime_s=config.conversations.lifetime_s,
        entries=config.conversations.entries,
    )
    return ConversationTracker(
        memory,
        config.feedback.names.client_id_sources(),
        config.conversations.client_tasks(),
        secret=lambda: log.ids.secrets[0],
        background=background,
        **turn_needs(config, settings.arms),
    )


def turn_needs(config: Config, arms: Sequence[Arm]) -> dict[str, bool]:
    """Return what a configuration and a pool have the turn before needed for, as `ConversationTracker` takes it."""
    return {
        "switches_cost": bool(config.latency_weight or config.objective.points_per_s)
        or any(arm.usd_per_mtok_cached_in is not None for arm in arms),
        "has_replicas": any(len(arm.endpoints) > 1 for arm in arms),
    }
