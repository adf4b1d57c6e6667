"""What looks at answers before they are passed on, put together as the configuration has it."""

from collections.abc import Collection, Iterable

import numpy as np

from highwayman.bandit.cascade.gates import Gates
from highwayman.env.confidence.signal import AskingSignal, Signal
from highwayman.env.errors import ConfigError
from highwayman.env.suggestions import did_you_mean
from highwayman.serving.completions.calls.signal_reader import SignalReader
from highwayman.serving.completions.privacy.data_guard import DataGuard
from highwayman.serving.completions.routing.cascades import Cascades
from highwayman.serving.state.live_policy import LivePolicy
from highwayman.serving.wiring.routing import RoutingComponents
from highwayman.serving.wiring.settings import Settings


def build_cascades(
    settings: Settings, live: LivePolicy, routing: RoutingComponents, guard: DataGuard | None
) -> Cascades | None:
    """Return it, None where nothing looks at answers. Raises ConfigError for an arm that is not in the pool."""
    config = settings.config.cascade
    if config is None:
        return None
    arms = routing.pool.arms
    reader = SignalReader(config.load_signals(), routing.upstream, arms, config.look_s, guard)
    check_asked(reader.signals, arms)

    def gates(tenant: str) -> Gates:
        return live.tally.gates_for(tenant)  # of the tally that is in force then

    return Cascades(
        config.rules(),
        gates,
        reader,
        frozenset(config.aliases),
        np.random.default_rng(settings.seed),
        routing.spend_tracker.on_next_stage,
    )


def check_asked(signals: Iterable[Signal], arms: Collection[str]) -> None:
    """Raise ConfigError for a signal that asks an arm which is not in the pool."""
    for signal in signals:
        if isinstance(signal, AskingSignal) and signal.asks and signal.asks not in arms:
            raise ConfigError(
                f"cascade.signals: {type(signal).__name__}: the pool has no arm {signal.asks!r}"
                f"{did_you_mean(signal.asks, arms)}"
            )
