"""The OpenAPI document of a router that is started for it."""

import asyncio
import tempfile
from pathlib import Path

import aiohttp
import uvicorn

from highwayman.env.types import Arm, JsonObject
from highwayman.serving.app import Application
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey
from highwayman.serving.wiring.settings import Settings

_LOOK_S = 0.01


async def served_document() -> JsonObject:
    """Return the document of a router whose configuration is as by default."""
    with tempfile.TemporaryDirectory() as folder:
        valkey = EmbeddedValkey(Path(folder) / "valkey")
        await valkey.start()
        arm = Arm("a", ("http://127.0.0.1:1",), "m", None, None, 4096)
        settings = Settings((arm,), valkey.url, learn=False, state=Path(folder))
        socket = f"{folder}/router.sock"
        server = uvicorn.Server(uvicorn.Config(Application(settings), interface="asgi3", uds=socket, log_level="error"))
        serving = asyncio.create_task(server.serve())
        try:
            while not server.started and not serving.done():  # noqa: ASYNC110  (uvicorn has no event for it)
                await asyncio.sleep(_LOOK_S)
            async with (
                aiohttp.ClientSession("http://localhost", connector=aiohttp.UnixConnector(socket)) as http,
                http.get("/openapi.json") as response,
            ):
                document: JsonObject = await response.json()
                return document
        finally:
            server.should_exit = True
            await serving
            await valkey.stop()
