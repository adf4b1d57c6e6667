"""What is taken in while Redis is away, and filed or taken back once it is there."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import redis.asyncio as aioredis

from highwayman.env.errors import InvalidFeedback, StoreUnavailable
from highwayman.env.tasks import cancel_and_wait
from highwayman.feedback.intake.pending import PendingFeedback
from highwayman.feedback.intake.pending_retraction import PendingRetraction
from highwayman.feedback.intake.pending_spool import PendingSpool
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store
from highwayman.feedback.log.writing.spool import claim_spools
from tests.feedback.intake.desks import HOLD_S, Intake, intake
from tests.feedback.intake.tenants import OURS, Clock
from tests.upstream_server import closed_url


async def test_without_redis_a_decisions_id_is_enough_and_a_name_that_must_be_looked_up_is_not(tmp_path: Path) -> None:
    client = connect(closed_url().replace("http", "redis"))
    async with intake(client, "nowhere", tmp_path) as alone:
        name = alone.service.targets.ids.issue(OURS)
        assert (await alone.say(decision_id=name)).state == "spooled"
        with pytest.raises(StoreUnavailable):
            await alone.say(request_id="r-1")
    await client.aclose()


async def test_with_a_spool_what_names_a_decision_is_taken_without_redis_and_found_once_that_is_back(
    redis_client: aioredis.Redis, namespace: str, tmp_path: Path
) -> None:
    def spool(client: aioredis.Redis, clock: Clock) -> PendingSpool:
        spools = claim_spools(tmp_path / "held", limit_bytes=1 << 20)
        return PendingSpool(spools, PendingFeedback(client, namespace, Store(client, namespace), keep_s=HOLD_S), clock)

    gone = connect(closed_url().replace("http", "redis"))
    async with intake(gone, namespace, tmp_path / "away") as away:
        held = spool(gone, away.clock)
        waiting = asyncio.create_task(held.run(away.service.retract_held))
        service = replace(away.service, pending_spool=held)
        alone = replace(away, service=service)
        for about in ({"request_id": "r"}, {"conversation_id": "c"}, {"request_id": "t", "generation_id": "g"}):
            receipt = await alone.say(**about)
            assert (receipt.state, receipt.decision_ids) == ("held", ())
        with pytest.raises(InvalidFeedback):
            await alone.say()  # of nothing
        assert len(held) == 3
        await cancel_and_wait(waiting)  # the process ends; another finds what waits
    await gone.aclose()
    async with intake(redis_client, namespace, tmp_path / "back") as desk:
        made = [await desk.decide(request="r"), await desk.decide(conversation="c"), await desk.decide(request="g")]
        trace = await desk.decide(request="t")
        desk.clock.now += 2 * HOLD_S  # Redis was away for longer than anything is held
        held = spool(redis_client, desk.clock)
        waiting = asyncio.create_task(held.run(desk.service.retract_held))
        async with asyncio.timeout(10):
            while len(held):
                await asyncio.sleep(0.01)
        await cancel_and_wait(waiting)
        assert await desk.service.pending.release(now=desk.clock.now) == 3
        assert [await desk.standing(decision.id) for decision in made] == [[1.0], [1.0], [1.0]]
        assert await desk.standing(trace.id) == []


async def test_a_spool_that_is_full_refuses_what_it_cannot_keep(tmp_path: Path) -> None:
    gone = connect(closed_url().replace("http", "redis"))
    async with intake(gone, "nowhere", tmp_path) as away:
        spools = claim_spools(tmp_path / "held", limit_bytes=64)
        service = replace(away.service, pending_spool=PendingSpool(spools, away.service.pending, away.clock))
        with pytest.raises(StoreUnavailable, match="Redis is away, and the spool"):
            await replace(away, service=service).say(request_id="r")
    await gone.aclose()


async def test_what_is_to_be_taken_back_without_redis_is_taken_back_once_it_is_found_and_what_was_said_later_stands(
    redis_client: aioredis.Redis, namespace: str, tmp_path: Path
) -> None:
    gone = connect(closed_url().replace("http", "redis"))
    async with intake(redis_client, namespace, tmp_path / "desk") as desk:
        made, other = await desk.decide(request="r"), await desk.decide(request="s")
        direct = await desk.say(decision_id=made.id, user="ann")
        await desk.say(request_id="r", source="app", external_id="f-1", user="bob")
        spools = claim_spools(tmp_path / "held", limit_bytes=1 << 20)
        spool = PendingSpool(spools, desk.service.pending, desk.clock)
        async with intake(gone, namespace, tmp_path / "away") as away:
            away.clock.now = desk.clock.now
            alone = replace(away, service=replace(away.service, pending_spool=spool))
            assert (await alone.retract(direct.id)).state == "held"
            assert (await alone.retract("f-1", source="app")).state == "held"
            assert (await alone.retract("f-2", source="app")).state == "held"  # of what is still on its way
            with pytest.raises(StoreUnavailable):
                await away.retract(direct.id)  # nothing holds it
            said_at = away.clock.now
        desk.clock.now = said_at + 1.0
        await desk.say(request_id="r", source="app", external_id="f-1", user="bob")  # said again, after all
        running = asyncio.create_task(spool.run(desk.service.retract_held))
        async with asyncio.timeout(10):
            while len(spool) > 1:
                await asyncio.sleep(0.01)
        assert await desk.standing(made.id) == [1.0]  # bob's
        desk.clock.now = said_at - 2.0  # it was said before
        await desk.say(request_id="s", source="app", external_id="f-2", user="cay")
        async with asyncio.timeout(10):
            while len(spool):
                await asyncio.sleep(0.01)
        assert await desk.standing(other.id) == []
        await cancel_and_wait(running)
    await gone.aclose()


async def test_what_is_to_be_taken_back_and_is_not_found_in_time_is_given_up(desk: Intake, tmp_path: Path) -> None:
    spool = PendingSpool(claim_spools(tmp_path / "held", limit_bytes=1 << 20), desk.service.pending, desk.clock)
    await spool.add_retraction(PendingRetraction("nothing", OURS, None, desk.clock.now))
    running = asyncio.create_task(spool.run(desk.service.retract_held))
    await asyncio.sleep(0.1)  # it is looked for once
    assert len(spool) == 1
    desk.clock.now += HOLD_S + 1.0
    async with asyncio.timeout(10):
        while len(spool):
            await asyncio.sleep(0.01)
    await cancel_and_wait(running)
