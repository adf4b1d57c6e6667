"""What counts how much keys and tenants take, put together as the configuration has it."""

import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from highwayman.feedback.trust.quotas import Quota
from highwayman.feedback.trust.shared_quotas import SharedQuotas
from highwayman.serving.completions.quota_gate import QuotaGate
from highwayman.serving.config.config import Config
from highwayman.serving.wiring.log import LogComponents


def build_quotas(stack: AsyncExitStack, log: LogComponents) -> QuotaGate:
    """Return it; Redis is asked once the first request of a caller with limits comes."""
    config = log.factory.config
    shared = SharedQuotas(log.client, timer=time.monotonic)
    stack.push_async_callback(shared.close)
    gate = QuotaGate(shared, config.namespace, clock=time.time)
    follow_quotas(gate, config)
    return gate


def follow_quotas(gate: QuotaGate, config: Config) -> None:
    """Have the limits of a configuration count from now on."""
    gate.follow(_by_tenant(config), is_open_without_redis=config.limits.without_redis == "pass")


def _by_tenant(config: Config) -> Mapping[str, Sequence[Quota]]:
    return {name: tenant.limits.quotas() for name, tenant in config.tenants.items()}
