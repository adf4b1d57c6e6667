"""While a policy stands, only what is beside it travels; releases of before read what is published, and are read."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis.asyncio as aioredis

from highwayman.feedback.fold.learner import Learner
from highwayman.feedback.learning.publications import Publications, digest_of, parse_publication
from highwayman.feedback.learning.session import LearnerDependencies, LearnerSession
from highwayman.feedback.learning.version_history import VersionHistory
from highwayman.feedback.log.store import Keys, Store
from tests.feedback.worlds import decision, make_learner, outcome, thumb


class Publisher:
    """A learner's sessions, one after the other, on a log of its own; and what is published of them."""

    def __init__(self, client: aioredis.Redis, namespace: str) -> None:
        self.client: Any = client
        self.key = Keys(namespace)("policy", "test")
        self.store, self.publications = Store(client, namespace), Publications(client, namespace, "test")
        self._versions = VersionHistory(client, namespace, "test")
        self._lease = Keys(namespace)("lease", "test")

    async def session(self, holder: str, make: Callable[[], Learner] = make_learner) -> LearnerSession:
        """A session that has begun."""
        await self.client.delete(self._lease)
        epoch = await self.publications.acquire(holder, hold_s=5)
        assert epoch is not None
        parts = LearnerDependencies(self.store, self.publications, self._versions, make)
        session = LearnerSession(parts, holder=holder, epoch=epoch, wall=time.time)
        await session.start()
        return session

    async def learn(self, session: LearnerSession, *events: Any) -> None:
        """Put events on the log, fold them."""
        await self.store.put_all(events)
        await session.advance(count=100, block_s=0)

    async def publish_as_before(self, **fields: Any) -> None:
        """What a publisher of an earlier release does: it says nothing of digests."""
        await self.client.hset(self.key, mapping=fields)
        await self.client.hincrby(self.key, "version", 1)


@pytest.fixture
def publisher(redis_client: aioredis.Redis, namespace: str) -> Publisher:
    return Publisher(redis_client, namespace)


def counted_states(monkeypatch: pytest.MonkeyPatch) -> list[Learner]:
    """Return the learners that are asked for their whole state from now on."""
    asked, snapshot = [], Learner.snapshot

    def noted(learner: Learner, *, with_policy: bool = True) -> Any:
        asked.extend([learner] * with_policy)
        return snapshot(learner, with_policy=with_policy)

    monkeypatch.setattr(Learner, "snapshot", noted)
    return asked


async def test_while_the_policy_stands_its_state_is_neither_made_nor_sent_nor_read(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = counted_states(monkeypatch)
    session = await publisher.session("one")
    await publisher.learn(session, decision("d"), outcome("d"), thumb("d", 1.0))
    assert await session.publish()
    first = await publisher.publications.load()
    assert first is not None
    assert len(asked) == 1
    await publisher.learn(session, decision("e"), outcome("e"))
    assert session.has_unpublished
    assert not session.has_learned
    assert await session.publish()
    second = await publisher.publications.load(known_policy=first.policy_digest)
    assert second is not None
    assert len(asked) == 1
    assert (second.snapshot.policy, second.policy_digest) == (b"", first.policy_digest)
    assert second.snapshot.tally != first.snapshot.tally
    assert second.stamp.version == 2
    whole = await publisher.publications.load()
    assert whole == second.with_policy_of(first)
    assert whole.snapshot.policy == first.snapshot.policy
    await publisher.learn(session, thumb("e", 0.0))
    assert session.has_learned
    assert await session.publish()
    third = await publisher.publications.load(known_policy=first.policy_digest)
    assert third is not None
    assert third.policy_digest == digest_of(third.snapshot.policy) != first.policy_digest


async def test_a_release_of_before_finds_in_every_publication_all_that_it_reads(publisher: Publisher) -> None:
    session = await publisher.session("one")
    await publisher.learn(session, decision("d"), outcome("d"), thumb("d", 1.0))
    assert await session.publish()
    await publisher.learn(session, decision("e"), outcome("e"))
    assert await session.publish()
    fields = await publisher.client.hgetall(publisher.key)
    read = parse_publication({name: fields[name] for name in fields if name != b"policy_digest"})
    assert read.policy_digest == ""
    assert read.snapshot == session.learner.snapshot()


async def test_a_policy_published_by_a_release_of_before_is_read_though_its_digest_is_an_older_ones(
    publisher: Publisher,
) -> None:
    session = await publisher.session("one")
    await publisher.learn(session, decision("d"), outcome("d"), thumb("d", 1.0))
    assert await session.publish()
    known = await publisher.publications.load()
    assert known is not None
    await publisher.learn(session, thumb("d", 0.0))
    await publisher.publish_as_before(policy=session.learner.snapshot().policy)
    read = await publisher.publications.load(known_policy=known.policy_digest)
    assert read is not None
    assert (read.snapshot.policy, read.policy_digest) == (session.learner.snapshot().policy, "")


async def test_a_learner_that_follows_one_of_before_publishes_the_policy_once_with_its_digest(
    publisher: Publisher,
) -> None:
    before = await publisher.session("before")
    await publisher.learn(before, decision("d"), outcome("d"), thumb("d", 1.0))
    assert await before.publish()
    await publisher.client.hdel(publisher.key, "policy_digest")
    session = await publisher.session("now")
    await publisher.learn(session, decision("e"), outcome("e"))
    assert not session.has_learned
    assert await session.publish()
    published = await publisher.publications.load()
    assert published is not None
    assert published.policy_digest == digest_of(published.snapshot.policy)


async def test_a_policy_that_its_server_lost_is_not_said_to_stand_and_is_learned_again(publisher: Publisher) -> None:
    session = await publisher.session("one")
    await publisher.learn(session, decision("d"), outcome("d"), thumb("d", 1.0))
    assert await session.publish()
    kept = await publisher.client.hgetall(publisher.key)
    await publisher.learn(session, thumb("d", 0.0))
    assert await session.publish()
    learned = session.learner.snapshot()
    await publisher.client.hset(publisher.key, mapping=kept)  # as a replica has it that was a moment behind
    await publisher.learn(session, decision("e"), outcome("e"))
    assert not await session.publish()
    assert await publisher.client.hgetall(publisher.key) == kept
    again = await publisher.session("two")
    await again.advance(count=100, block_s=0)
    assert await again.publish()
    published = await publisher.publications.load()
    assert published is not None
    assert published.snapshot.policy == learned.policy
    assert replace(published.snapshot, policy=b"") == again.learner.snapshot(with_policy=False)
