"""Columns for levels, given in a real Valkey."""

import pytest
import redis.asyncio as aioredis

from highwayman.env.encoder.features.tags import ENOUGH, Tag
from highwayman.env.errors import StoreUnavailable
from highwayman.feedback.log.redis.redis import connect
from highwayman.serving.state.level_table import LevelTable

TASK = Tag("task", slots=2)


async def seen(table: LevelTable, digest: str, times: int = ENOUGH, *, tenant: str = "t", tag: Tag = TASK) -> int:
    """The column of a level after it came so many times, and the table had a moment."""
    for _ in range(times):
        table.place(tenant, tag, digest)
    await table.sync()
    return table.place(tenant, tag, digest)


async def test_levels_that_come_often_get_the_columns_there_are_and_the_others_share_the_last(
    redis_client: aioredis.Redis, namespace: str
) -> None:
    table = LevelTable(redis_client, namespace)
    assert await seen(table, "rare", ENOUGH - 2) == TASK.rest
    assert [await seen(table, digest) for digest in ("maths", "code", "poems")] == [0, 1, TASK.rest]


async def test_every_process_gives_a_level_the_same_column_before_and_after_a_restart(
    redis_client: aioredis.Redis, namespace: str
) -> None:
    one, other = LevelTable(redis_client, namespace), LevelTable(redis_client, namespace)
    assert await seen(one, "maths") == 0
    assert await seen(other, "code") == 1
    assert await seen(other, "maths", 1) == 0
    later = LevelTable(redis_client, namespace)
    assert await seen(later, "code", 1) == 1


async def test_tenants_and_tags_have_columns_of_their_own(redis_client: aioredis.Redis, namespace: str) -> None:
    table = LevelTable(redis_client, namespace)
    app = Tag("app", slots=2)
    assert await seen(table, "x", tenant="one") == await seen(table, "y", tenant="two") == 0
    assert await seen(table, "z", tenant="one", tag=app) == 0


async def test_columns_beyond_what_is_declared_by_now_are_those_of_rare_levels(
    redis_client: aioredis.Redis, namespace: str
) -> None:
    table = LevelTable(redis_client, namespace)
    assert await seen(table, "maths") == 0
    assert await seen(table, "code") == 1
    fewer = LevelTable(redis_client, namespace)
    assert await seen(fewer, "code", tag=Tag("task", slots=1)) == 1  # the last of two columns
    assert await seen(fewer, "maths", tag=Tag("task", slots=1)) == 0


async def test_without_redis_a_level_is_one_of_the_rare_and_gets_its_column_later(
    redis_client: aioredis.Redis, namespace: str
) -> None:
    away = connect("redis://127.0.0.1:1", timeout_s=0.2)
    table = LevelTable(away, namespace)
    with pytest.raises(StoreUnavailable):
        await seen(table, "maths")
    assert table.place("t", TASK, "maths") == TASK.rest
    await away.aclose()
