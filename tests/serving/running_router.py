"""A router on a real port, in the test's own event loop."""

import asyncio
import contextlib
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn

from highwayman.env.types import Arm, Profile
from highwayman.feedback.log.events import decode
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Keys
from highwayman.serving.app import Application
from highwayman.serving.config.config import Config
from highwayman.serving.http.server import server_config
from highwayman.serving.wiring.settings import Settings


def arm(name: str, *urls: str, price: float | None = 1.0, profile: Profile | None = None, window: int = 4096) -> Arm:
    """An arm whose upstream model id is `name`-upstream."""
    return Arm(name, urls, f"{name}-upstream", price, price, window, profile=profile or Profile())


def ask(text: str = "What is the capital of France?", *, model: str = "auto", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


@dataclass(frozen=True, slots=True)
class Router:
    """Its address and a client for it."""

    url: str
    http: aiohttp.ClientSession

    async def post(self, path: str, body: Any) -> tuple[int, Any, dict[str, str]]:
        """Return status, parsed body and headers; bytes are sent as they are."""
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        async with self.http.post(path, **sent) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return response.status, await response.json(), headers

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.http.get(path) as response:
            return response.status, await response.json()

    async def decision(self, decision_id: str, *, feedback: int = 0) -> dict[str, Any]:
        """The decision, once its outcome and so many statements about it are on the log."""
        async with asyncio.timeout(10):
            while True:
                _, found = await self.get(f"/v1/decisions/{decision_id}")
                if found.get("outcome") is not None and len(found["feedback"]) >= feedback:
                    return dict(found)
                await asyncio.sleep(0.01)

    async def policy_until(self, arm_name: str, **wanted: Any) -> dict[str, Any]:
        """The policy view, once the arm's numbers are as wanted; two seconds are the promise."""
        async with asyncio.timeout(2):
            while True:
                _, found = await self.get("/v1/policy")
                if all(found["arms"][arm_name][name] == value for name, value in wanted.items()):
                    return dict(found)
                await asyncio.sleep(0.02)


@asynccontextmanager
async def running_router(
    arms: Sequence[Arm],
    redis_url: str,
    namespace: str,
    *,
    config: dict[str, Any] | None = None,
    also: Sequence[socket.socket] = (),
    **settings: Any,
) -> AsyncIterator[Router]:
    """Serve `arms` until the block ends, on a port, and on other sockets that listen."""
    loaded = Config.model_validate({"namespace": namespace, **(config or {})})
    state = Path(tempfile.mkdtemp(prefix="highwayman-test-"))
    wanted = Settings(tuple(arms), redis_url, loaded, **{"seed": 0, "state": state, **settings})
    limits = loaded.limits
    server = uvicorn.Server(server_config(Application(wanted), limits.connection_timeouts(), idle_s=limits.idle_s))
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]  # signals are pytest's
    # Without its protocol, no connection is told not to wait for more to send: 40 ms for each answer.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        serving = asyncio.create_task(server.serve(sockets=[listener, *also]))
        try:
            while not server.started:
                assert not serving.done(), "the router did not start"
                await asyncio.sleep(0.01)
            async with aiohttp.ClientSession(url) as http:
                yield Router(url, http)
        finally:
            server.should_exit = True
            await serving
            shutil.rmtree(state)


async def log_of(url: str, namespace: str) -> list[Any]:
    """The events of a namespace's log."""
    client = connect(url)
    try:
        return [decode(fields[b"e"]) for _, fields in await client.xrange(Keys(namespace)("log"))]
    finally:
        await client.aclose()
