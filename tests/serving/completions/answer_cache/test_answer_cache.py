"""What may be given again, asked of a real Valkey, or of one that is away."""

from collections.abc import Iterator

import pydantic_core
import pytest
import redis.asyncio as aioredis

from highwayman.env.encoder.encoder import Encoder, make_encoder
from highwayman.feedback.log.redis.redis import connect
from highwayman.serving.completions.answer_cache.answer_cache import AnswerCache, AnswerCacheSettings
from highwayman.serving.completions.answer_cache.answer_key import AskedBy
from highwayman.serving.completions.answer_cache.answer_store import AnswerStore, StoredAnswer
from highwayman.serving.completions.requests.request import CompletionRequest, parse_chat
from highwayman.serving.completions.requests.routing_options import CacheControl
from tests.ports import free_port
from tests.serving.running_router import ask

NOW = 1_700_000_000.0
ANN, BOB = AskedBy("ann's", "auto"), AskedBy("bob's", "auto")
PLAIN = CacheControl()


@pytest.fixture(scope="module")
def encoder() -> Iterator[Encoder]:
    made = make_encoder()
    yield made
    made.close()


def cache(client: aioredis.Redis, namespace: str, encoder: Encoder, *, now: float = NOW) -> AnswerCache:
    return AnswerCache(
        AnswerStore(client, namespace, clock=lambda: now),
        encoder,
        AnswerCacheSettings(similarity=0.8, patience_s=5.0),
        secret=lambda: b"secret",
        pseudonym=lambda user: f"*{user}" if user else "",
        clock=lambda: now,
    )


def asked(text: str, **more: object) -> CompletionRequest:
    return parse_chat(pydantic_core.to_json(ask(text, **more)))


async def store(answers: AnswerCache, request: CompletionRequest, asked_by: AskedBy, *, user: str = "") -> None:
    keyed, _ = await answers.look_up(request, asked_by, PLAIN)
    assert keyed.answer_key is not None
    await answers.store(keyed.answer_key, request.query.text, StoredAnswer("Paris.", "a", NOW, user=user))


async def test_no_tenant_is_given_what_another_asked_for_neither_the_same_nor_what_is_like_it(
    redis_client: aioredis.Redis, namespace: str, encoder: Encoder
) -> None:
    answers = cache(redis_client, namespace, encoder)
    await store(answers, asked("What is the capital of France?"), ANN)
    for text, arm in (("What is the capital of France?", "cache"), ("what is the capital of france", "cache-semantic")):
        given = [(await answers.look_up(asked(text), asked_by, PLAIN))[1] for asked_by in (ANN, BOB)]
        assert [found and found.arm.name for found in given] == [arm, None]


async def test_another_process_gives_what_this_one_stored_and_what_expired_gives_way_to_the_next_nearest(
    redis_client: aioredis.Redis, namespace: str, encoder: Encoder
) -> None:
    await store(cache(redis_client, namespace, encoder), asked("What is the capital of France?"), ANN)
    await store(cache(redis_client, namespace, encoder), asked("And what was the capital of France?"), ANN)
    other, like = cache(redis_client, namespace, encoder), asked("what is the capital of france")
    _, first = await other.look_up(like, ANN, PLAIN)
    same, _ = await other.look_up(asked("What is the capital of France?"), ANN, PLAIN)
    assert first is not None
    assert same.answer_key is not None
    async for name in redis_client.scan_iter(f"*{namespace}*answer:{same.answer_key.exact}"):
        await redis_client.delete(name)
    assert (await other.look_up(like, ANN, PLAIN))[1] is None
    _, second = await other.look_up(like, ANN, PLAIN)
    assert second is not None
    assert second.similarity < first.similarity


async def test_a_person_who_asks_again_is_given_their_own_answer_only_when_that_is_long_ago(
    redis_client: aioredis.Redis, namespace: str, encoder: Encoder
) -> None:
    request = asked("What is it?", user="ann")
    await store(cache(redis_client, namespace, encoder), request, ANN, user="*ann")
    soon, later = (
        cache(redis_client, namespace, encoder, now=NOW + 599),
        cache(redis_client, namespace, encoder, now=NOW + 601),
    )
    assert (await soon.look_up(request, ANN, PLAIN))[1] is None
    _, given = await later.look_up(request, ANN, PLAIN)
    assert given is not None
    assert given.age_s == 601


async def test_where_redis_is_away_nothing_is_given_and_it_is_left_alone_for_a_second(
    namespace: str, encoder: Encoder, caplog: pytest.LogCaptureFixture
) -> None:
    client = connect(f"redis://127.0.0.1:{free_port()}")
    answers = cache(client, namespace, encoder)
    for _ in range(3):
        assert (await answers.look_up(asked("What is it?"), ANN, PLAIN))[1] is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    await client.aclose()
