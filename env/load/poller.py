"""Asks each replica, again and again, what it has to do and which models it serves. No request ever waits for that."""

import asyncio
import logging
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import numpy as np

from highwayman.env.json_pieces import PIECE_BYTES, parse_aside
from highwayman.env.load.replica_loads import ReplicaLoads, ReplicaState
from highwayman.env.load.vllm_metrics import EngineReading, parse_engine_metrics
from highwayman.env.load.whole_body import whole_body
from highwayman.env.types import Arm

_TIMEOUT_S: Final = 2.0
_MOST_BYTES: Final = 2 << 20
_JITTER: Final = 0.2  # share of a pause by which it is longer or shorter, so that routers do not ask all at once
_LONGEST_PAUSE_S: Final = 15.0  # between tries of a server that has told its load before, or is not there
_RARE_PAUSE_S: Final = 300.0  # of one that answers, but does not speak of its load
_MODELS_EVERY_S: Final = 10.0
_NOT_IMPLEMENTED: Final = 501
_FAILED: Final = (TimeoutError, aiohttp.ClientError, OSError, ValueError)

log = logging.getLogger(__name__)

OnState = Callable[[str, ReplicaState | None], None]


class _NoMetrics(ValueError):
    """A server answered, but does not say what it has to do."""


@dataclass(slots=True)
class _Server:
    """One replica, and how asking it went."""

    endpoint: str
    key: str | None  # names the environment variable
    tells: bool = False  # whether it has told its load before
    shown: bool = False  # whether its load is on display
    failures: int = 0  # in a row
    models_due_at: float = -math.inf


class LoadPoller:
    """Reads `/metrics` of every replica, and `/v1/models` of those that are vLLM's."""

    def __init__(
        self, arms: Iterable[Arm], loads: ReplicaLoads, *, clock: Callable[[], float], rng: np.random.Generator,
        every_s: float = 1.0, on_state: OnState = lambda endpoint, state: None,
    ) -> None:  # fmt: skip
        """Take what to poll and where to file it.

        Args:
            arms: whose endpoints are asked, each with the key of an arm that has one.
            loads: is given what they say.
            clock: monotonic seconds, the one of `loads`.
            rng: draws the jitter.
            every_s: seconds between two readings of one server.
            on_state: called with an endpoint and what is known of its load after each reading, None once that is stale.
        """
        self._servers: dict[str, _Server] = {}  # by endpoint
        self._changed = asyncio.Event()
        self.follow(arms)
        self._loads = loads
        self._clock = clock
        self._rng = rng
        self._every_s = every_s
        self._on_state = on_state

    def follow(self, arms: Iterable[Arm]) -> None:
        """Ask the endpoints of these arms from now on; how asking them went before stays known."""
        keys: dict[str, str | None] = {}
        for arm in arms:
            for endpoint in arm.endpoints:
                keys[endpoint] = keys.get(endpoint) or arm.api_key_env
        for endpoint in self._servers.keys() - keys.keys():
            if self._servers.pop(endpoint).shown:
                self._on_state(endpoint, None)
        for endpoint, key in keys.items():
            self._servers.setdefault(endpoint, _Server(endpoint, key)).key = key
        self._changed.set()

    async def run(self) -> None:
        """Poll until cancelled. Whatever a server does, or does not, ends nothing."""
        # Connections of its own, and no compression: a server that is busy shall not be kept busier.
        async with (
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
                headers={"accept-encoding": "identity"},
                cookie_jar=aiohttp.DummyCookieJar(),
            ) as session,
            asyncio.TaskGroup() as group,
        ):
            polls: dict[str, asyncio.Task[None]] = {}
            while True:
                self._changed.clear()
                for endpoint in polls.keys() - self._servers.keys():
                    polls.pop(endpoint).cancel()
                for endpoint in self._servers.keys() - polls.keys():
                    polls[endpoint] = group.create_task(self._poll(session, self._servers[endpoint]))
                await self._changed.wait()

    async def _poll(self, session: aiohttp.ClientSession, server: _Server) -> None:
        while True:
            try:
                pause_s = await self._read(session, server)
                self._show(server)
            except Exception:  # whatever it is: this server is asked again, and the others are all the while
                log.exception("the load of %s could not be read", server.endpoint)
                pause_s = _RARE_PAUSE_S
            await asyncio.sleep(pause_s * (1.0 + _JITTER * self._rng.uniform(-1.0, 1.0)))

    async def _read(self, session: aiohttp.ClientSession, server: _Server) -> float:
        """File what a server says, and return the seconds until it is asked again."""
        try:
            await self._read_load(session, server)
            if self._clock() >= server.models_due_at:
                server.models_due_at = self._clock() + _MODELS_EVERY_S
                await self._read_models(session, server)
        except _FAILED as error:
            server.failures += 1
            if isinstance(error, _NoMetrics) and not server.tells:
                return max(_RARE_PAUSE_S, self._every_s)
            return max(min(self._every_s * 2.0 ** min(server.failures, 10), _LONGEST_PAUSE_S), self._every_s)
        server.failures = 0
        return self._every_s

    async def _read_load(self, session: aiohttp.ClientSession, server: _Server) -> None:
        """File what a server has to do. Raises one of _FAILED if it does not say."""
        asked_at, own = self._clock(), self._loads.own_calls(server.endpoint)
        status, text = await self._get(session, server, "/metrics")
        if status >= 500 and status != _NOT_IMPLEMENTED:  # llama.cpp says so unless it was started with --metrics
            raise ValueError(f"/metrics answered {status}")
        engine: EngineReading | None = None
        if status == 200:
            large = len(text) > PIECE_BYTES
            engine = await asyncio.to_thread(parse_engine_metrics, text) if large else parse_engine_metrics(text)
        if engine is None:
            raise _NoMetrics(f"/metrics answered {status} and does not say what vLLM has to do")
        server.tells = True
        self._loads.on_reading(server.endpoint, engine, asked_at=asked_at, own=own)

    async def _read_models(self, session: aiohttp.ClientSession, server: _Server) -> None:
        """File which models a server serves; what is no list of models says nothing. Raises one of _FAILED."""
        status, body = await self._get(session, server, "/v1/models")
        models = _model_ids(await parse_aside(body)) if status == 200 else None
        if models:
            self._loads.on_models(server.endpoint, models)

    async def _get(self, session: aiohttp.ClientSession, server: _Server, path: str) -> tuple[int, bytes]:
        """Return status and body. Raises one of _FAILED, ValueError for a body that is too large."""
        key = os.environ.get(server.key) if server.key else None
        headers = {"authorization": f"Bearer {key}"} if key else None
        async with session.get(server.endpoint + path, headers=headers, allow_redirects=False) as response:
            return response.status, await whole_body(response, most_bytes=_MOST_BYTES)

    def _show(self, server: _Server) -> None:
        state = self._loads.state(server.endpoint)
        if state is None and not server.shown:
            return
        server.shown = True
        self._on_state(server.endpoint, state)


def _model_ids(answer: Any) -> frozenset[str] | None:
    """Return the ids in a list of models, None for anything else."""
    cards = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(cards, list):
        return None
    ids = (card.get("id") for card in cards if isinstance(card, Mapping))
    return frozenset(model for model in ids if isinstance(model, str))
