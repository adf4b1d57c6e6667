import secrets
from collections.abc import Sequence
from pathlib import Path

import pytest
import redis.asyncio as aioredis

from highwayman.env.errors import ConfigError, StoreUnavailable
from highwayman.env.types import Arm, ControlKind
from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.feedback.log.event_id import START
from highwayman.feedback.log.events import decode
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store
from highwayman.serving.config.config import Config
from highwayman.serving.state.learner_factory import LearnerFactory, warm_encoder
from highwayman.serving.state.local_state import LocalState
from highwayman.serving.state.namespace_sync import NamespaceSync
from highwayman.serving.state.pool_objectives import PoolObjectives
from tests.serving.running_router import arm

ARMS = (arm("a", "http://x"),)


class Replica:
    """A router's part in settling, with a secret of its own."""

    def __init__(self, client: aioredis.Redis, namespace: str, folder: Path, arms: Sequence[Arm] = ARMS) -> None:
        config = Config(namespace=namespace)
        self.learning = LearnerFactory(config, arms, warm_encoder(config))
        self.store = Store(client, namespace)
        self.kept = LocalState(folder, namespace, self.learning.lineage)
        own = secrets.token_bytes(32)
        self.ids = DecisionIds([*self.kept.secrets(), own], secrets.token_bytes, lambda: 1.0)
        self.objectives = PoolObjectives(config, arms, self.kept.spread())
        self.settling = NamespaceSync(
            self.store, self.ids, self.kept, self.learning, objectives=self.objectives, own=own
        )


async def test_routers_that_start_with_redis_sign_with_one_secret(
    redis_client: aioredis.Redis, namespace: str, tmp_path: Path
) -> None:
    one, two = (Replica(redis_client, namespace, tmp_path / name) for name in ("one", "two"))
    await one.settling.sync_once()
    await two.settling.sync_once()
    assert one.ids.secrets == two.ids.secrets
    assert len(one.ids.secrets) == 1


async def test_ids_issued_without_redis_are_genuine_to_the_others_once_it_is_there(
    redis_client: aioredis.Redis, namespace: str, tmp_path: Path
) -> None:
    one, two = Replica(redis_client, namespace, tmp_path / "one"), Replica(redis_client, namespace, tmp_path / "two")
    await one.settling.sync_once()
    nowhere = connect(f"unix://{tmp_path}/nobody.sock")
    two.settling._store = Store(nowhere, namespace)
    with pytest.raises(StoreUnavailable):
        await two.settling.sync_once()
    issued = two.ids.issue()
    assert one.ids.issued_at(issued) is None
    two.settling._store = two.store
    await two.settling.sync_once()
    await one.settling.sync_once()
    assert one.ids.issued_at(issued) == two.ids.issued_at(issued) == 1.0
    assert one.ids.secrets[0] == two.ids.secrets[0]
    await nowhere.aclose()


async def test_a_router_that_knew_the_secret_needs_no_redis_to_sign_with_it(
    redis_client: aioredis.Redis, namespace: str, tmp_path: Path
) -> None:
    first = Replica(redis_client, namespace, tmp_path)
    await first.settling.sync_once()
    again = Replica(redis_client, namespace, tmp_path)
    assert again.ids.secrets[0] == first.ids.secrets[0]


async def test_what_is_in_force_is_announced_by_the_first_and_nothing_of_it_names_a_prompt(
    redis_client: aioredis.Redis, namespace: str, tmp_path: Path
) -> None:
    one, two = (Replica(redis_client, namespace, tmp_path / name) for name in ("one", "two"))
    await one.settling.sync_once()
    await two.settling.sync_once()
    log = [decode(data) for _, data, _ in await one.store.read(START, count=99, block_s=0)]
    assert [getattr(event, "kind", None) for event in log] == ["configuration", "arm_added", "policy_promoted"]


async def test_what_a_redis_forgot_of_an_announcement_is_announced_again_but_no_later_change_is_undone(
    redis_client: aioredis.Redis, namespace: str, tmp_path: Path
) -> None:
    router = Replica(redis_client, namespace, tmp_path)
    await router.settling.sync_once()
    announced = await router.store.active_config()
    await redis_client.delete(router.store.keys("in_force"), router.store.keys("log"))
    await router.settling.sync_once()
    assert await router.store.active_config() == announced
    assert len(await router.store.read(START, count=99, block_s=0)) == 3
    await router.settling.sync_once()
    await redis_client.delete(router.store.keys("in_force"))
    await router.settling.sync_once()
    assert await router.store.active_config() == "", "by now it is somebody's doing"


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_a_redis_that_may_evict_the_log_is_refused_and_told_how_to_be_right(
    policy: str, valkey_url: str, redis_client: aioredis.Redis, namespace: str, tmp_path: Path
) -> None:
    await redis_client.config_set("maxmemory-policy", policy)
    try:
        with pytest.raises(ConfigError, match=f"maxmemory-policy {policy}.*set it to noeviction"):
            await Replica(redis_client, namespace, tmp_path).settling.sync_once()
    finally:
        await redis_client.config_set("maxmemory-policy", "noeviction")


async def test_what_quality_is_worth_is_derived_once_put_on_the_log_and_moves_no_more_with_the_pool(
    redis_client: aioredis.Redis, namespace: str, tmp_path: Path
) -> None:
    small, large = arm("small", "http://s", price=1.0), arm("large", "http://l", price=11.0)
    first = Replica(redis_client, namespace, tmp_path / "first", (small, large))
    await first.settling.sync_once()
    points = first.objectives["auto"].points_per_usd
    assert points == pytest.approx(15 / (10 * 1_256e-6), rel=0.005)
    dearer = (small, arm("judge", "http://j", price=75.0))
    second = Replica(redis_client, namespace, tmp_path / "second", dearer)
    assert second.objectives["auto"].points_per_usd < points / 5  # alone it would have derived something else
    await second.settling.sync_once()
    assert second.objectives["auto"].points_per_usd == points
    events = [decode(data) for _, data, _ in await first.store.read(START, count=100, block_s=0)]
    told = [event.detail["objectives"] for event in events if event.kind is ControlKind.CONFIGURATION]
    assert [objectives["auto"]["points_per_usd"] for objectives in told] == [points]
    alone = Replica(redis_client, namespace, tmp_path / "second", dearer)  # as after a restart, without Redis
    assert alone.objectives["auto"].points_per_usd == points


async def test_a_pool_that_gets_its_first_price_later_derives_what_quality_is_worth_then(
    redis_client: aioredis.Redis, namespace: str, tmp_path: Path
) -> None:
    free = Replica(redis_client, namespace, tmp_path / "free", (arm("own", "http://o", price=0.0),))
    await free.settling.sync_once()
    assert free.objectives["auto"].points_per_usd == 0.0
    paid = (arm("own", "http://o", price=0.0), arm("paid", "http://p", price=10.0))
    later = Replica(redis_client, namespace, tmp_path / "later", paid)
    await later.settling.sync_once()
    await free.settling.sync_once()
    assert free.objectives["auto"].points_per_usd == later.objectives["auto"].points_per_usd > 0.0
