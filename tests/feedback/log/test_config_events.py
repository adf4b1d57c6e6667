import json

import redis.asyncio as aioredis

from highwayman.env.types import Arm, Control, ControlKind
from highwayman.feedback.log.config_events import config_changes, describe_config, record_config_change
from highwayman.feedback.log.event_id import START
from highwayman.feedback.log.events import decode
from highwayman.feedback.log.store import Store


def arm(name: str, price: float | None = 1.0) -> Arm:
    return Arm(name, ("http://x",), name, price, price, 4096)


def now(*arms: Arm, lineage: str = "l1", **configuration: object) -> str:
    return describe_config(arms, lineage=lineage, configuration=configuration)


def kinds(before: str, after: str) -> list[tuple[str, object]]:
    return [(event.kind, event.detail.get("arm")) for event in config_changes(before, after, at=1.0)]


def test_at_the_very_first_everything_is_new() -> None:
    assert kinds("", now(arm("a"), arm("b"))) == [
        (ControlKind.CONFIGURATION, None), (ControlKind.ARM_ADDED, "a"), (ControlKind.ARM_ADDED, "b"),
        (ControlKind.POLICY_PROMOTED, None),
    ]  # fmt: skip


def test_only_what_differs_is_told() -> None:
    before = now(arm("a"), arm("b"), arm("c"), floor=0.02)
    assert kinds(before, before) == []
    assert kinds(before, now(arm("a"), arm("b", 2.0), arm("d"), floor=0.02)) == [
        (ControlKind.PRICE_CHANGED, "b"), (ControlKind.ARM_ADDED, "d"), (ControlKind.ARM_DROPPED, "c"),
    ]  # fmt: skip
    assert kinds(before, now(arm("a"), arm("b"), arm("c"), floor=0.05)) == [(ControlKind.CONFIGURATION, None)]
    assert kinds(before, now(arm("a"), arm("b"), arm("c"), lineage="l2", floor=0.02)) == [
        (ControlKind.POLICY_PROMOTED, None)
    ]


def test_a_price_change_says_the_new_price() -> None:
    (change,) = config_changes(now(arm("a")), now(arm("a", None)), at=7.0)
    assert change == Control(
        7.0, ControlKind.PRICE_CHANGED, {"arm": "a", "usd_per_mtok_in": None, "usd_per_mtok_out": None}
    )


async def test_two_routers_of_one_configuration_announce_it_once(redis_client: aioredis.Redis, namespace: str) -> None:
    store = Store(redis_client, namespace)
    assert len(await record_config_change(store, now(arm("a")), at=1.0)) == 3
    assert await record_config_change(store, now(arm("a")), at=2.0) == []
    assert len(await record_config_change(store, now(arm("a"), arm("b")), at=3.0)) == 1
    log = [decode(data) for _, data, _ in await store.read(START, count=99, block_s=0)]
    assert len(log) == 4
    assert json.loads(await store.active_config())["arms"].keys() == {"a", "b"}
