"""Stored answers in a real Valkey."""

import time
from dataclasses import replace
from typing import Any

import redis.asyncio as aioredis

from highwayman.feedback.log.event_id import START
from highwayman.feedback.log.store import Keys
from highwayman.serving.completions.answer_cache.answer_store import AnswerRow, AnswerStore, StoredAnswer


def store(client: aioredis.Redis, namespace: str, **more: Any) -> AnswerStore:
    return AnswerStore(client, namespace, clock=time.time, **more)


def said(text: str, user: str = "") -> StoredAnswer:
    return StoredAnswer(text, "a", 1.0, 7, 5, user)


async def test_the_first_answer_stays_until_its_time_is_over(redis_client: aioredis.Redis, namespace: str) -> None:
    answers = store(redis_client, namespace, lifetime_s=30.0)
    assert await answers.put(AnswerRow("k", "", b""), said("one", "ann"))
    assert not await answers.put(AnswerRow("k", "", b""), said("two"))
    assert await answers.get("k") == said("one", "ann")
    for name in (("answer", "k"), ("answers",), ("answers_of", "ann")):
        assert 0 < await redis_client.ttl(Keys(namespace)(*name)) <= 30


async def test_only_so_many_are_kept_and_the_oldest_go_first(redis_client: aioredis.Redis, namespace: str) -> None:
    answers = store(redis_client, namespace, entries=2)
    for name in "abc":
        await answers.put(AnswerRow(name, "", b""), said(name))
    assert [await answers.get(name) for name in "abc"] == [None, said("b"), said("c")]
    assert await redis_client.xlen(Keys(namespace)("answers")) == 2


async def test_rows_are_read_once_by_whoever_remembers_where_they_were(
    redis_client: aioredis.Redis, namespace: str
) -> None:
    answers = store(redis_client, namespace)
    await answers.put(AnswerRow("a", "g", b"\x01\x02"), said("a"))
    found, rows = await answers.get_and_rows("a", after=START)
    assert (found, [row for _, row in rows]) == (said("a"), [AnswerRow("a", "g", b"\x01\x02")])
    await answers.put(AnswerRow("b", "g", b"\x03"), said("b"))
    found, rows = await answers.get_and_rows("nothing", after=rows[-1][0])
    assert (found, [row.exact for _, row in rows]) == (None, ["b"])


async def test_a_person_is_forgotten_with_their_answers_and_rows_and_nobody_else(
    redis_client: aioredis.Redis, namespace: str
) -> None:
    answers = store(redis_client, namespace)
    for name, user in (("a", "ann"), ("b", "bob"), ("c", "ann"), ("d", "")):
        await answers.put(AnswerRow(name, "g", b"v"), said(name, user))
    assert await answers.forget(["ann", "nobody"]) == 2
    assert await answers.forget(["ann"]) == 0
    assert [await answers.get(name) for name in "abcd"] == [None, said("b", "bob"), None, said("d")]
    _, rows = await answers.get_and_rows("b", after=START)
    assert [row.exact for _, row in rows] == ["b", "d"]


async def test_of_two_tenants_persons_of_one_name_only_the_one_who_is_meant_is_forgotten(
    redis_client: aioredis.Redis, namespace: str
) -> None:
    answers = store(redis_client, namespace)
    for name in ("hers", "theirs"):
        await answers.put(AnswerRow(name, "g", b"v"), replace(said(name, "bob"), decision_id=f"on-{name}"))
    assert await answers.forget(["bob"], is_meant=lambda decision_id: decision_id == "on-hers") == 1
    assert [await answers.get(name) is None for name in ("hers", "theirs")] == [True, False]
    assert await answers.forget(["bob"]) == 1, "still found by the person"


async def test_what_another_release_wrote_is_no_answer(redis_client: aioredis.Redis, namespace: str) -> None:
    for data in (b"{}", b"rubbish", b'{"text": "a", "arm": "b", "at": 1, "later": true}'):
        await redis_client.set(Keys(namespace)("answer", "k"), data)
        assert await store(redis_client, namespace).get("k") is None
