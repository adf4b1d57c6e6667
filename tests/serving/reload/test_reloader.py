"""One worker's side of a change, on a real Valkey that is away for a while."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from highwayman.env.errors import ConfigError, StoreUnavailable
from highwayman.env.tasks import cancel_and_wait
from highwayman.feedback.log.config_events import describe_config
from highwayman.feedback.log.store import Store
from highwayman.serving.reload.arm_edits import edit_of
from highwayman.serving.reload.config_files import ConfigFiles
from highwayman.serving.reload.live_config import LiveConfig
from highwayman.serving.reload.reloader import LiveParts, Reloader
from highwayman.serving.reload.shared_state import SharedConfig, SharedState
from highwayman.serving.state.announced_config import public_entries, public_settings
from tests.serving.running_router import log_of


class OftenAway(SharedConfig):
    """Does not answer as long as it is away."""

    is_away = True

    async def read(self) -> SharedState:
        if self.is_away:
            raise StoreUnavailable("away")
        return await super().read()


def write(folder: Path, price: Any, **config: Any) -> ConfigFiles:
    arm: dict[str, Any] = {
        "endpoint": "http://h:1",
        "model": "m",
        "context_window_tokens": 100,
        "usd_per_mtok_out": 1.0,
    }
    arm["profile"] = {"system": "Be brief.", "few_shot": [{"user": "Hm?", "assistant": "Yes."}]}  # told by its digest
    (folder / "pool.yaml").write_text(yaml.safe_dump({"arms": {"a": {**arm, "usd_per_mtok_in": price}}}))
    (folder / "highwayman.yaml").write_text(yaml.safe_dump(config))
    return ConfigFiles(folder / "pool.yaml", folder / "highwayman.yaml")


def describe(live: LiveConfig) -> str:
    return describe_config(
        live.arms, lineage="l", configuration={"policy": {"name": "LinTS"}}, settings=public_settings(live.config),
        pool=public_entries(live.loaded.pool.entries),
    )  # fmt: skip


async def test_a_reload_without_redis_holds_here_and_is_told_to_the_others_with_who_wanted_it_when_redis_is_back(
    redis_client: Any, valkey_url: str, namespace: str, tmp_path: Path
) -> None:
    store, shared = Store(redis_client, namespace), OftenAway(redis_client, namespace)
    loaded, used = write(tmp_path, 1.0, namespace=namespace).load(), list[LiveConfig]()
    running = LiveConfig(loaded, {}, loaded.config, loaded.pool.arms)
    await store.put_config_changes([], before="", after=describe(running))
    parts = LiveParts(lambda live: (), used.append, describe)
    reloader = Reloader(running, SharedState(), shared=shared, store=store, parts=parts, worker="w")

    write(tmp_path, 2.0, namespace=namespace)
    change = await reloader.reload("SIGHUP at here")
    assert (change.generation, change.changed) == (0, {"pool.a.usd_per_mtok_in": [1.0, 2.0]})
    assert [live.arms[0].usd_per_mtok_in for live in used] == [2.0]
    with pytest.raises(StoreUnavailable):
        await reloader.edit("somebody", edit_of("drain", "a", {}, by="somebody", at=0.0))
    assert not used[1:], "an edit that nobody else hears of is none"

    write(tmp_path, "dear", namespace=namespace)
    with pytest.raises(ConfigError, match=r"pool\.yaml"):
        await reloader.reload("SIGHUP at here")
    write(tmp_path, 2.0, namespace=namespace)

    shared.is_away = False
    task = asyncio.create_task(reloader.run())
    async with asyncio.timeout(5):
        while reloader.generation == 0:
            await asyncio.sleep(0.01)
    await cancel_and_wait(task)
    told = [event for event in await log_of(valkey_url, namespace) if event.detail.get("by") == "SIGHUP at here"]
    assert [event.kind.value for event in told] == ["configuration", "price_changed"]
    assert told[0].detail["changed"] == {"pool.a.usd_per_mtok_in": [1.0, 2.0]}
    assert len(used) == 1, "it holds already"


async def test_files_that_cannot_be_are_told_of_at_once_also_without_redis_and_promised_to_nobody(
    redis_client: Any, namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    loaded, taken = write(tmp_path, 1.0, namespace=namespace).load(), list[bool]()

    def check(live: LiveConfig) -> tuple[str, ...]:
        if live.arms[0].usd_per_mtok_in == 2.0:
            raise ConfigError("2 is too much")
        return ()

    reloader = Reloader(
        LiveConfig(loaded, {}, loaded.config, loaded.pool.arms),
        SharedState(),
        shared=OftenAway(redis_client, namespace),
        store=Store(redis_client, namespace),
        parts=LiveParts(check, lambda live: None, describe, taken.append),
        worker="w",
    )
    write(tmp_path, 2.0, namespace=namespace)
    with pytest.raises(ConfigError, match="2 is too much"):
        await reloader.reload("SIGHUP at here")
    assert taken == [False]
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["SIGHUP at here: what was in force stays: 2 is too much"]
