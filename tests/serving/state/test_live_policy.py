import asyncio
import time
from pathlib import Path

import numpy as np
import redis.asyncio as aioredis

from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.policy import Policy
from highwayman.env.tasks import cancel_and_wait
from highwayman.env.types import RewardChange
from highwayman.feedback.fold.learner import Snapshot
from highwayman.feedback.fold.tally import Tally
from highwayman.feedback.learning.publications import Publications, digest_of
from highwayman.serving.state.live_policy import LivePolicy
from highwayman.serving.state.local_state import LocalState
from tests.feedback.worlds import context


def make() -> Policy:
    return LinTS(d=3, fingerprint="f")


def learned() -> Snapshot:
    policy = make()
    for name in ("a", "b"):
        policy.add_arm(name)
    policy.learn([RewardChange("b", context().features, 40.0, 40.0, 40.0)])
    return Snapshot("5-0", policy.state(), Tally().to_json())


async def test_a_published_version_is_in_force_as_soon_as_it_is_announced(
    redis_client: aioredis.Redis, namespace: str, tmp_path: Path
) -> None:
    publications = Publications(redis_client, namespace, "test")
    kept = LocalState(tmp_path, namespace, "test")
    live = LivePolicy(publications, make, ["a", "b"], cache=kept, clock=time.time)
    following = asyncio.create_task(live.run())
    epoch = await publications.acquire("me", hold_s=5)
    assert epoch is not None
    before = live.policy.probs(context(), ["a", "b"], np.zeros(2))
    await publications.publish(learned(), epoch=epoch, holder="me", at=time.time())
    async with asyncio.timeout(2):
        while live.version < 1:
            await asyncio.sleep(0.01)
    after = live.policy.probs(context(), ["a", "b"], np.zeros(2))
    await cancel_and_wait(following)
    assert before.tolist() == [0.5, 0.5]
    assert after[1] > 0.8


async def test_a_version_that_cannot_be_used_leaves_the_one_in_force(
    redis_client: aioredis.Redis, namespace: str, tmp_path: Path
) -> None:
    publications = Publications(redis_client, namespace, "test")
    kept = LocalState(tmp_path, namespace, "test")
    live = LivePolicy(publications, make, ["a", "b"], cache=kept, clock=time.time)
    epoch = await publications.acquire("me", hold_s=5)
    assert epoch is not None
    await publications.publish(learned(), epoch=epoch, holder="me", at=time.time())
    assert await live.refresh()
    in_force = live.policy
    bad = Snapshot("6-0", b"rubbish", Tally().to_json())
    await publications.publish(bad, epoch=epoch, holder="me", at=time.time())
    assert not await live.refresh()
    assert live.policy is in_force
    assert live.version == 1


async def test_a_version_of_the_same_policy_brings_its_tally_and_leaves_the_policy_in_force(
    redis_client: aioredis.Redis, namespace: str, tmp_path: Path
) -> None:
    publications, restored = Publications(redis_client, namespace, "test"), []

    class Noted(LinTS):
        def restore(self, state: bytes) -> None:
            restored.append(state)
            super().restore(state)

    def following() -> LivePolicy:
        cache = LocalState(tmp_path, namespace, "test")
        return LivePolicy(publications, lambda: Noted(d=3, fingerprint="f"), ["a"], cache=cache, clock=lambda: clock)

    clock = 1000.0
    live = following()
    epoch = await publications.acquire("me", hold_s=5)
    assert epoch is not None
    await publications.publish(learned(), epoch=epoch, holder="me", at=clock)
    assert await live.refresh()
    in_force, tally = live.policy, Tally()
    tally.arm("b").calls = 7
    stands = Snapshot("6-0", b"", tally.to_json())
    clock += 10.0
    await publications.publish(stands, epoch=epoch, holder="me", at=clock, policy_digest=digest_of(learned().policy))
    assert await live.refresh()
    assert live.policy is in_force
    assert len(restored) == 1
    assert (live.version, live.position, live.tally.arm("b").calls) == (2, "6-0", 7)
    later = following()  # a start without Redis
    assert await later.load_cached()
    assert (later.version, later.position, later.tally.arm("b").calls) == (2, "6-0", 7)
    assert later.policy.state() == in_force.state()
