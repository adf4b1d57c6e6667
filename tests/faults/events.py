"""Events put on the log without a router: the same ones for the same seed."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import numpy as np

from highwayman.env.tasks import cancel_and_wait
from highwayman.env.types import Context, Decision, Feedback, Mode, Outcome, Status
from highwayman.feedback.log.store import Written
from highwayman.serving.state.learner_factory import LearnerFactory
from tests.faults.processes import ARMS, World

_AHEAD_S = 3600.0  # decisions are dated so that none is given up as lost


def events(seed: str, learning: LearnerFactory, *, at: float) -> Iterator[Written]:
    """Yield decisions, outcomes and feedback without end; some feedback is early, doubled, changed or taken back."""
    rng = random.Random(seed)
    drawn = np.random.default_rng(rng.getrandbits(64))
    known: list[Feedback] = []
    number = 0
    while True:
        number += 1
        features = np.append(drawn.normal(size=learning.encoder.d - 1), 1.0).astype(np.float32).astype(np.float64)
        made = _decision(f"d{number}", Context(features, learning.encoder.fingerprint, 12), rng, at=at + _AHEAD_S)
        said = [_said(rng, made.id, at + number + k / 10) for k in range(rng.choice((0, 1, 1, 2)))]
        served = made.arm if rng.random() < 0.9 else rng.choice(ARMS)
        outcome = Outcome(made.id, at + number, served, Status.OK, 12, 20, rng.randint(1, 90), 0.001, 0.1, 0.5)
        found: list[Written] = [made, outcome, *said]
        if rng.random() < 0.2:
            rng.shuffle(found)  # a spool of one router is drained later than another writes
        known += said
        if known and rng.random() < 0.5:
            old = rng.choice(known[-50:])
            found.append(old)  # sent again: nothing changes
            found.append(_said(rng, old.decision_id, at + number + 0.9, like=old))
        yield from found


def _decision(name: str, context: Context, rng: random.Random, *, at: float) -> Decision:
    probs = np.full(len(ARMS), 1 / len(ARMS))
    action = rng.randrange(len(ARMS))
    return Decision(
        id=name,
        tenant="default",
        at=at,
        context=context,
        arms=ARMS,
        penalties=np.zeros(len(ARMS)),
        probs=probs,
        action=action,
        propensity=float(probs[action]),
        policy="test",
        policy_version=0,
        objective="auto",
        mode=Mode.ROUTE,
    )


def _said(rng: random.Random, decision_id: str, at: float, *, like: Feedback | None = None) -> Feedback:
    metric = like.metric if like else rng.choice(("thumbs", "quality"))
    value = float(rng.random() < 0.6) if metric == "thumbs" else round(rng.random(), 3)
    user = like.user if like else rng.choice(("", "u1", "u2"))
    taken_back = like is not None and rng.random() < 0.3
    return Feedback(
        f"f{rng.getrandbits(64):x}", decision_id, at, "user", metric, None if taken_back else value, user=user
    )


async def put(world: World, learning: LearnerFactory, some: Sequence[Written]) -> None:
    """Put events on the log."""
    async with world.client() as client:
        await learning.store(client).put_all(some)


@asynccontextmanager
async def flowing(world: World, seed: str) -> AsyncIterator[None]:
    """Put events on the log all the time, about a hundred a second, as long as the context lasts."""

    async def flow() -> None:
        source = events(seed, world.learning, at=time.time())
        async with world.client() as client:
            store = world.learning.store(client)
            while True:
                await store.put_all([next(source) for _ in range(5)])
                await asyncio.sleep(0.05)

    task = asyncio.create_task(flow())
    try:
        yield
        assert not task.done(), "the log takes nothing more"
    finally:
        await cancel_and_wait(task)
