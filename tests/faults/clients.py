"""People who ask, say what they think of the answers, change their minds, and remember what they were told."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp

from highwayman.feedback.intake.feedback_ids import split_public_id

_PATIENCE_S = 15.0  # of a client; nothing here may take so long
_LATEST = 40  # answers that are still spoken about
_QUESTIONS = ("What is the capital of France?", "Write a poem on rain.", "Prove that 2 is prime.", "Sum 3, 5 and 8.")


@dataclass(frozen=True, slots=True)
class Statement:
    """Feedback that was acknowledged."""

    decision_id: str
    value: float | None
    at: float  # monotonic, in seconds


@dataclass(slots=True)
class Memory:
    """What clients were told."""

    begun: list[str] = field(default_factory=list)  # decisions whose answer's head came
    waits: list[tuple[float, float]] = field(default_factory=list)  # when an answer was asked for, how long it took
    said: dict[str, Statement] = field(default_factory=dict)  # by the statement's id on the log
    refused: int = 0  # feedback answered with 503
    broken: int = 0  # connections that could not be made, or ended too soon
    surprises: Counter[str] = field(default_factory=Counter)  # whatever else came back

    def acknowledge(self, decision_id: str, answer: dict[str, Any]) -> None:
        """Remember a statement whose filing was answered with `answer`."""
        self.said[split_public_id(answer["id"])[1]] = Statement(decision_id, answer["value"], time.monotonic())

    def answered_between(self, begin: float, end: float) -> list[float]:
        """Return how long the answers took that were asked for in this time."""
        return [wait for at, wait in self.waits if begin <= at < end]


class Clients:
    """A number of users in front of some routers. They ask and speak while the context lasts, or until `rest`."""

    def __init__(
        self, urls: Sequence[str], *, seed: int, users: int = 8, every_s: float = 0.2, speaking: float = 0.7
    ) -> None:
        """Take where they ask, how many they are, how often each asks, and how often they say something then."""
        self.memory = Memory()
        self._urls = list(urls)
        self._seed, self._users = seed, users
        self._every_s, self._speaking = every_s, speaking
        self._resting = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._http: aiohttp.ClientSession | None = None
        self._rngs = [random.Random(f"{seed}/{user}") for user in range(users)]
        self._latest: list[tuple[str, str, str]] = []  # decision, metric, user: what can be flipped or taken back

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
        self._http = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))
        self.go_on()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.rest()
        finally:
            assert self._http is not None
            await self._http.close()

    def go_on(self) -> None:
        """Ask again."""
        self._resting.clear()
        self._tasks = [asyncio.create_task(self._live(user)) for user in range(self._users)]

    async def rest(self) -> None:
        """Return when everyone has heard the answer to what they asked last, and asks no more."""
        self._resting.set()
        for task in self._tasks:
            await task

    async def _live(self, user: int) -> None:
        rng = self._rngs[user]
        await self._pause(rng.random() * self._every_s)
        while not self._resting.is_set():
            due = time.monotonic() + self._every_s * (0.5 + rng.random())
            decision_id = await self._told(self._ask(rng, user))
            if decision_id and rng.random() < self._speaking:
                await self._told(self._speak(rng, user, decision_id))
            if self._latest and rng.random() < self._speaking / 2:
                await self._told(self._change_mind(rng))
            await self._pause(due - time.monotonic())

    async def _told(self, work: Any) -> str | None:
        """Return what was learned; a router that is not there is left for a moment."""
        try:
            return str(await work or "")
        except (aiohttp.ClientError, TimeoutError, OSError):
            self.memory.broken += 1
            await self._pause(0.05)
            return None

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            await asyncio.wait({asyncio.ensure_future(self._resting.wait())}, timeout=seconds)

    async def _ask(self, rng: random.Random, user: int) -> str | None:
        assert self._http is not None
        body = {
            "model": rng.choice(("auto", "auto", "auto-cheap", "auto-quality", "b")),
            "messages": [{"role": "user", "content": rng.choice(_QUESTIONS)}],
            "stream": rng.random() < 0.3,
            "user": f"user-{user}",
        }
        began = time.monotonic()
        async with self._http.post(rng.choice(self._urls) + "/v1/chat/completions", json=body) as response:
            decision_id = response.headers.get("x-highwayman-decision")
            if decision_id is not None:
                self.memory.begun.append(decision_id)
            if response.status != 200:
                self.memory.surprises[f"answer: {response.status} {(await response.text())[:200]}"] += 1
                return None
            await response.read()
        self.memory.waits.append((began, time.monotonic() - began))
        return decision_id

    async def _speak(self, rng: random.Random, user: int, decision_id: str) -> None:
        metric = rng.choice(("thumbs", "thumbs", "rating", "quality"))
        self._latest = [*self._latest[1 - _LATEST :], (decision_id, metric, f"user-{user}")]
        await self._say(rng, decision_id, metric, f"user-{user}", _value(rng, metric))

    async def _change_mind(self, rng: random.Random) -> None:
        """Flip a statement, take it back, or make it once more."""
        decision_id, metric, user = rng.choice(self._latest)
        value = None if rng.random() < 0.3 else _value(rng, metric)
        await self._say(rng, decision_id, metric, user, value)

    async def _say(self, rng: random.Random, decision_id: str, metric: str, user: str, value: Any) -> None:
        assert self._http is not None
        body = {"decision_id": decision_id, "metric": metric, "value": value, "user": user}
        async with self._http.post(rng.choice(self._urls) + "/v1/feedback", json=body) as response:
            found = await response.json()
            if response.status == 200:
                self.memory.acknowledge(decision_id, found)
            elif response.status == 503 and "retry-after" in response.headers:
                self.memory.refused += 1
            else:
                self.memory.surprises[f"feedback: {response.status} {found}"] += 1


def _value(rng: random.Random, metric: str) -> bool | int | float:
    if metric == "thumbs":
        return rng.random() < 0.6
    return rng.randint(1, 5) if metric == "rating" else round(rng.random(), 3)
