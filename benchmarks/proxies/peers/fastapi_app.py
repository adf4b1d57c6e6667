"""A pass-through as one would write it in an afternoon."""

import contextlib
import os
from collections.abc import AsyncIterator

import aiohttp
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse


@contextlib.asynccontextmanager
async def _session(app: FastAPI) -> AsyncIterator[None]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        app.state.session = session
        yield


app = FastAPI(lifespan=_session)


@app.get("/health")
async def health() -> Response:
    return Response()


@app.post("/v1/chat/completions")
async def pass_on(request: Request) -> Response:
    body = await request.body()
    url, headers = f"{os.environ['UPSTREAM']}/v1/chat/completions", {"content-type": "application/json"}
    answer = await request.app.state.session.post(url, data=body, headers=headers)
    if answer.content_type != "text/event-stream":
        return Response(await answer.read(), answer.status, media_type=answer.content_type)
    return StreamingResponse(answer.content.iter_any(), answer.status, media_type=answer.content_type)
