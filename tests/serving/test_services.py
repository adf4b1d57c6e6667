"""In which order a router process starts, and that it is taken down in reverse."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from highwayman.env.upstream.client import Upstream
from highwayman.serving import services
from highwayman.serving.auth.api_key_cache import ApiKeyCache
from highwayman.serving.config.config import Config
from highwayman.serving.services import build_services
from highwayman.serving.state.live_policy import LivePolicy
from highwayman.serving.state.namespace_sync import NamespaceSync
from highwayman.serving.wiring.settings import Settings
from tests.serving.running_router import arm

LEARNER = ["Redis.aclose", "Worker.run", "Worker.run"]  # on a connection of its own; the second is the guard's
LOOKS = ["NamespaceSync.sync_once", "LivePolicy.refresh", "ApiKeyCache.refresh"]  # at Redis, before the first request
BEFORE_LEARNER = [
    *("Encoder.close", "Redis.aclose", "Store.close", "LivePolicy.write_cache"),
    *LOOKS,
    *("Journal.run", "NamespaceSync.run", "LivePolicy.run", "ApiKeyCache.run"),
]
AFTER_LEARNER = [
    "LiveRamp.run",
    *("LoadPoller.run", "Upstream.start", "Upstream.close", "BackgroundTasks.drain", "SharedQuotas.close"),
    *("Calibrator.run", "PendingSpool.run", "CompletionObservers.close"),
]
STARTED = [*BEFORE_LEARNER, *LEARNER, *AFTER_LEARNER]


def name_of(callback: Callable[..., Any], *args: Any) -> str:
    """The name of what a stack calls when it unwinds; of a task that it ends, the name of what that runs."""
    return str(args[0].get_coro().__qualname__) if callback.__name__ == "cancel_and_wait" else callback.__qualname__


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was begun, in order: looks at Redis, the line to the pool, and whatever will be ended."""
    names: list[str] = []

    def note_calls(owner: type, name: str) -> None:
        original = getattr(owner, name)

        async def noted(self: Any, *args: Any) -> Any:
            if original.__qualname__ not in names:  # the first; background tasks look again
                names.append(original.__qualname__)
            return await original(self, *args)

        monkeypatch.setattr(owner, name, noted)

    note_calls(NamespaceSync, "sync_once")
    note_calls(LivePolicy, "refresh")
    note_calls(ApiKeyCache, "refresh")
    note_calls(Upstream, "start")
    return names


@pytest.fixture
def ended(begun: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was ended, in order."""
    names: list[str] = []

    class NotingStack(AsyncExitStack):
        def callback(self, callback: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            name = name_of(callback, *args)
            begun.append(name)
            super().callback(names.append, name)  # called after it
            return super().callback(callback, *args, **kwargs)

        def push_async_callback(self, callback: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            name = name_of(callback, *args)
            begun.append(name)
            super().callback(names.append, name)
            return super().push_async_callback(callback, *args, **kwargs)

    monkeypatch.setattr(services, "AsyncExitStack", NotingStack)
    return names


@pytest.mark.parametrize("learn", [True, False])
async def test_a_router_is_taken_down_in_the_reverse_of_the_order_in_which_it_starts(
    learn: bool, begun: list[str], ended: list[str], valkey_url: str, namespace: str, tmp_path: Path
) -> None:
    config = Config.model_validate({"namespace": namespace})
    settings = Settings((arm("a", "http://127.0.0.1:9"),), valkey_url, config, learn=learn, state=tmp_path)
    async with build_services(settings):
        assert ended == []
        started = list(begun)
    assert started == (STARTED if learn else [*BEFORE_LEARNER, *AFTER_LEARNER])
    assert ended == [name for name in reversed(started) if name not in (*LOOKS, "Upstream.start")]


async def test_what_was_started_is_taken_down_where_a_later_part_cannot_be_built(
    ended: list[str], valkey_url: str, namespace: str, tmp_path: Path
) -> None:
    config = Config.model_validate({"namespace": namespace, "feedback": {"judge": {"arms": ["nobody"]}}})
    settings = Settings((arm("a", "http://127.0.0.1:9"),), valkey_url, config, state=tmp_path)
    with pytest.raises(services.HighwaymanError, match="no arm 'nobody'"):
        async with build_services(settings):
            pass
    assert ended == [name for name in reversed(STARTED[:-1]) if name not in (*LOOKS, "Upstream.start")]
