"""A score in a real Valkey: published with its position, and gone on from."""

from itertools import pairwise

import pytest

from highwayman.feedback.learning.publications import Publications
from highwayman.feedback.learning.session import LearnerDependencies, LearnerSession
from highwayman.feedback.learning.version_history import VersionHistory
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store
from tests.feedback.tournament.test_scored_learner import challenger, log


@pytest.mark.parametrize("restarts", [1, 4])
async def test_learners_that_take_over_from_each_other_come_to_the_score_of_one_that_stayed(
    restarts: int, valkey_url: str, namespace: str
) -> None:
    client = connect(valkey_url)
    store = Store(client, namespace)
    events = list(log(20))
    await store.put_all(events)  # type: ignore[arg-type]
    publications, versions = Publications(client, namespace, "x"), VersionHistory(client, namespace, "x")
    dependencies = LearnerDependencies(store, publications, versions, challenger)
    whole = LearnerSession(dependencies, holder="whole", epoch="", wall=lambda: 1.0)
    await whole.advance(count=1000, block_s=0.0)

    stops = [round(part * len(events) / (restarts + 1)) for part in range(restarts + 2)]
    for start, stop in pairwise(stops):
        epoch = await publications.acquire(f"h{start}", hold_s=5.0)
        assert epoch is not None
        session = LearnerSession(dependencies, holder=f"h{start}", epoch=epoch, wall=lambda: 1.0)
        await session.start()
        await session.advance(count=stop - start, block_s=0.0)
        assert await session.publish()
        await publications.release(f"h{start}")

    published = await publications.load()
    await client.aclose()
    assert published is not None
    assert published.snapshot.score == whole.learner.snapshot().score
    assert published.snapshot.verdict == whole.learner.snapshot().verdict
