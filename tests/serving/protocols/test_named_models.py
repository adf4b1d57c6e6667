"""Embeddings and audio at a started router: passed through to the model that is named."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import openai
import pytest
import pytest_asyncio
from aiohttp import FormData, web

from highwayman.env.pool.pool_file import NamedModel
from highwayman.env.types import Arm
from highwayman.env.upstream.calls.sending import UpstreamTimeouts
from highwayman.serving.http.body_reader import BodyReader
from highwayman.serving.http.drain import Drain
from highwayman.serving.protocols.named_models import NamedModelEndpoint
from tests.served_app import served
from tests.serving.running_router import Router, arm, running_router
from tests.upstream_server import closed_url

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one router answers all
SOUND = bytes(range(256)) * 300
EMBEDDINGS, TRANSCRIPTIONS, SPEECH = "/v1/embeddings", "/v1/audio/transcriptions", "/v1/audio/speech"


@dataclass
class AudioServer:
    """Embeds, hears and speaks; remembers what it was sent."""

    url: str = ""
    seen: list[dict[str, Any]] = field(default_factory=list)

    async def embeddings(self, request: web.Request) -> web.Response:
        self.seen.append(await request.json())
        row = {"object": "embedding", "index": 0, "embedding": [0.5, -0.5]}
        usage = {"prompt_tokens": 2, "total_tokens": 2}
        return web.json_response({"object": "list", "model": "bge", "data": [row], "usage": usage})

    async def transcriptions(self, request: web.Request) -> web.Response:
        form = await request.post()
        sound = form["file"].file.read()  # type: ignore[union-attr]
        self.seen.append({"model": form["model"], "language": form.get("language"), "sound": sound})
        return web.json_response({"text": "hello"})

    async def speech(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(await request.json())
        response = web.StreamResponse(headers={"content-type": "audio/mpeg"})
        await response.prepare(request)
        for place in range(0, len(SOUND), 30_000):
            await response.write(SOUND[place : place + 30_000])
        return response


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[AudioServer]:
    audio, app = AudioServer(), web.Application()
    app.router.add_post(EMBEDDINGS, audio.embeddings)
    app.router.add_post(TRANSCRIPTIONS, audio.transcriptions)
    app.router.add_post(SPEECH, audio.speech)
    async with served(app) as audio.url:
        yield audio


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(server: AudioServer, valkey_url: str, module_namespace: str) -> AsyncIterator[Router]:
    """One whose embedder has a replica that is down."""

    def named(name: str, *serves: str, urls: tuple[str, ...] = ()) -> NamedModel:
        return NamedModel(Arm(name, urls or (server.url,), f"org/{name}", None, None, 0), frozenset(serves))

    models = (
        named("bge", "embeddings", urls=(closed_url(), server.url)),
        named("lost", "embeddings", urls=(closed_url(),)),
        named("whisper", "transcriptions", "speech"),
    )
    arms = [arm("a", server.url)]
    async with running_router(arms, valkey_url, module_namespace, named=models) as started:
        yield started


async def test_openais_client_gets_embeddings_whichever_replica_is_down(router: Router, server: AudioServer) -> None:
    async with openai.AsyncOpenAI(base_url=f"{router.url}/v1", api_key="none", max_retries=0) as client:
        for _ in range(4):
            answer = await client.embeddings.create(model="bge", input="hi", encoding_format="float")
            assert answer.data[0].embedding == [0.5, -0.5]
    assert server.seen[-1] == {"input": "hi", "model": "org/bge", "encoding_format": "float"}


async def test_openais_client_has_sound_written_down_and_read_out(router: Router, server: AudioServer) -> None:
    async with openai.AsyncOpenAI(base_url=f"{router.url}/v1", api_key="none", max_retries=0) as client:
        heard = await client.audio.transcriptions.create(model="whisper", file=("a.wav", SOUND), language="de")
        assert heard.text == "hello"
        assert server.seen[-1] == {"model": "org/whisper", "language": "de", "sound": SOUND}
        said = await client.audio.speech.create(model="whisper", voice="alloy", input="hello")
        assert said.content == SOUND


async def test_a_form_that_holds_the_field_behind_its_file_is_read_too(router: Router, server: AudioServer) -> None:
    form = FormData()
    form.add_field("file", SOUND, filename="model.wav", content_type="audio/wav")
    form.add_field("model", "whisper")
    async with router.http.post(TRANSCRIPTIONS, data=form) as response:
        assert (response.status, response.headers["x-highwayman-arm"]) == (200, "whisper")
    assert server.seen[-1]["sound"] == SOUND


async def test_a_page_of_another_origin_sends_no_form(router: Router) -> None:
    form = FormData()
    form.add_field("model", "whisper")
    form.add_field("file", b"x", filename="a.wav")
    async with router.http.post(TRANSCRIPTIONS, data=form, headers={"sec-fetch-site": "cross-site"}) as response:
        assert response.status == 415


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        (EMBEDDINGS, {"model": "whisper", "input": "hi"}, 404, "Known here: bge, lost"),
        (EMBEDDINGS, {"model": "auto", "input": "hi"}, 404, "does not serve /v1/embeddings"),
        (EMBEDDINGS, {"input": "hi"}, 400, "model: Field required"),
        (EMBEDDINGS, {"model": "lost", "input": "hi"}, 502, "no server answered"),
        ("/v1/audio/translations", {"model": "whisper"}, 404, "by_name"),
        ("/v1/chat/completions", {"model": "bge", "messages": [{"role": "user", "content": "hi"}]}, 404, "exist"),
    ],
)
async def test_what_cannot_be_passed_on_is_told(path: str, body: Any, status: int, says: str, router: Router) -> None:
    got, told, _ = await router.post(path, json.dumps(body).encode())
    assert (got, says in told["error"]["message"]) == (status, True), told


async def test_models_that_are_asked_by_name_are_listed_and_found(router: Router) -> None:
    _, listed = await router.get("/v1/models")
    assert [model["id"] for model in listed["data"]][-3:] == ["bge", "lost", "whisper"]
    assert (await router.get("/v1/models/bge"))[0] == 200


async def test_rules_of_privacy_hold_for_what_is_passed_through_and_sound_is_what_nobody_reads(
    server: AudioServer, valkey_url: str, module_namespace: str
) -> None:
    def model(name: str, zone: str, *serves: str) -> NamedModel:
        return NamedModel(Arm(name, (server.url,), f"org/{name}", None, None, 0, zone=zone), frozenset(serves))

    models = (model("away", "default", "embeddings", "transcriptions"), model("home", "home", "embeddings"))
    arms = [replace(arm("a", server.url), zone="home")]
    config = {"privacy": {"classes": {"personal": ["home"], "secret": []}}}
    name = f"{module_namespace}-private"
    server.seen.clear()
    async with running_router(arms, valkey_url, name, named=models, config=config) as router:

        async def status(model: str, text: Any, **headers: str) -> int:
            async with router.http.post(EMBEDDINGS, json={"model": model, "input": text}, headers=headers) as response:
                return response.status

        declared = {"x-highwayman-data-class": "personal"}
        assert [await status("away", "hi"), await status("home", "hi", **declared)] == [200, 200]
        assert len(server.seen) == 2
        assert await status("away", "hi", **declared) == 403
        assert await status("away", "write to ann.smith@mail.example") == 403
        assert await status("away", [1, 2, 3]) == 403  # token ids: nobody knows what they say
        form = FormData()
        form.add_field("model", "away")
        form.add_field("file", SOUND, filename="a.wav")
        async with router.http.post(TRANSCRIPTIONS, data=form) as response:
            assert (response.status, "unread" in await response.text()) == (403, True)
    assert len(server.seen) == 2


async def test_models_that_are_asked_by_name_change_while_the_router_runs() -> None:
    def model(name: str) -> NamedModel:
        return NamedModel(Arm(name, ("http://h:1",), name, None, None, 0), frozenset({"embeddings"}))

    parts = {"bodies": BodyReader(), "limits": UpstreamTimeouts(), "drain": Drain(), "on_error": len}
    endpoint = NamedModelEndpoint([], body_limit_bytes=9, **parts)  # type: ignore[arg-type]
    assert not endpoint.matches({"path": EMBEDDINGS})
    endpoint.follow([model("e")], 9, UpstreamTimeouts())
    assert (endpoint.matches({"path": EMBEDDINGS}), endpoint.matches({"path": SPEECH})) == (True, False)
    assert endpoint.names() == ["e"]
