"""A stream over HTTP, whoever is slow: each event as it comes, all of them in order, none twice."""

import asyncio
import json
import re
import socket
from collections.abc import MutableMapping
from typing import Any

import pytest
from aiohttp import web

from highwayman.env.upstream.answers.sse import ResponseIdentity, SseRewriter
from highwayman.serving.completions.calls.passing import passing
from highwayman.serving.http.asgi import ResponseStartTracker
from tests.serving.running_router import arm, ask, running_router
from tests.upstream_server import ANY, Body, Say, ScriptedUpstream, Send

_HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n"
)
_WORDS_TOGETHER, _CHUNKS = 20, 200


def _event(word: str, reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": word}, "finish_reason": reason}
    event = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


async def test_each_event_comes_as_the_server_writes_it(valkey_url: str, namespace: str) -> None:
    hold = asyncio.Event()
    async with ScriptedUpstream() as server, running_router([arm("a", server.url)], valkey_url, namespace) as router:
        server.script(ANY, Say("one two three four five", hold=hold))
        async with router.http.post("/v1/chat/completions", json=ask(stream=True)) as response:
            came = b""
            async with asyncio.timeout(5):
                while b"one" not in came:
                    came += await response.content.readany()
            assert b"two" not in came
            async with router.http.get("/metrics") as metrics:
                assert "\nhighwayman_requests_in_flight 1.0\n" in await metrics.text()
            hold.set()
            came += await response.content.read()
    events = [json.loads(line[6:]) for line in came.split(b"\n\n") if line and line != b"data: [DONE]"]
    said = "".join(event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"])
    assert said.split() == ["one", "two", "three", "four", "five"]
    assert came.endswith(b"data: [DONE]\n\n")
    assert len({event["id"] for event in events}) == 1


class Paced(Say):
    """Writes its words one by one, as models do: each is a read of its own."""

    async def serve(self, request: web.Request, body: Body) -> web.StreamResponse:
        """Answer a request with a stream."""
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for event in self.events(body):
            await response.write(event)
            await asyncio.sleep(0.005)
        return response


async def test_words_that_come_one_by_one_go_out_translated_and_behind_the_answers_before_theirs(
    valkey_url: str, namespace: str
) -> None:
    message = {"model": "auto", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    body = json.dumps(ask(stream=True)).encode()
    async with ScriptedUpstream() as server, running_router([arm("a", server.url)], valkey_url, namespace) as router:
        server.script(ANY, Paced("one two three four five six"))
        async with router.http.post("/v1/messages", json=message) as response:
            came = await response.content.read()
        assert (came.count(b"event: content_block_delta"), came.count(b"chat.completion")) == (6, 0)
        host, _, port = router.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write((_HEAD % len(body) + body) * 2)  # the second request waits for the first one's answer
        for _ in range(2):
            came = await asyncio.wait_for(reader.readuntil(b"\r\n0\r\n\r\n"), 5)
            ids = set(re.findall(rb'"id": *"(.*?)"', came))
            assert (came[:15], came.count(b"chat.completion.chunk"), len(ids)) == (b"HTTP/1.1 200 OK", 8, 1)
        writer.close()


async def test_a_client_that_reads_late_gets_all_of_a_stream_in_order(valkey_url: str, namespace: str) -> None:
    words = [f"w{number}" for number in range(_CHUNKS * _WORDS_TOGETHER)]
    events = [_event(word) for word in words]
    parts = [
        b"".join(events[start : start + _WORDS_TOGETHER]) for start in range(0, len(events), _WORDS_TOGETHER)
    ]  # fmt: skip
    parts += [_event("", "stop"), b"data: [DONE]\n\n"]
    body = json.dumps(ask(stream=True)).encode()
    async with ScriptedUpstream() as server, running_router([arm("a", server.url)], valkey_url, namespace) as router:
        server.script(ANY, Send(tuple(parts)))
        with socket.socket() as client:
            client.setblocking(False)
            loop, came = asyncio.get_running_loop(), b""
            host, _, port = router.url.removeprefix("http://").partition(":")
            await loop.sock_connect(client, (host, int(port)))
            await loop.sock_sendall(client, _HEAD % len(body) + body)
            await asyncio.sleep(0.1)  # nothing tells that the router cannot write any more
            async with asyncio.timeout(20):
                while not came.endswith(b"\r\n0\r\n\r\n"):
                    part = await loop.sock_recv(client, 1 << 20)
                    assert part, came[-500:]
                    came += part
    said = [line.partition(b'"content": "')[2].partition(b'"')[0].decode() for line in came.split(b"\n")]
    assert [word for word in said if word] == words


async def test_words_are_passed_on_at_once_only_where_the_client_has_room_and_nobody_looks_at_them() -> None:
    sent: list[Any] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    has_room = True
    stream = SseRewriter(ResponseIdentity("a", "1"), keep_usage=False)
    stream.feed(_event("first"))
    tracked = ResponseStartTracker(send, lambda: has_room)
    await tracked({"type": "http.response.start", "status": 200, "headers": []})
    take = passing(tracked, stream)
    assert (take(_event("word")), take(_event("", "stop")), passing(send, stream)(_event("word"))) == (
        True,
        False,
        False,
    )
    has_room = False
    assert not take(_event("word"))
    assert [b'"content": "word"' in message.get("body", b"") for message in sent] == [False, True]
    assert (stream.words().pieces, stream.complete) == (2, False)


async def test_a_part_that_waits_although_there_is_room_is_an_error() -> None:
    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await asyncio.sleep(0)

    tracked = ResponseStartTracker(send, lambda: True)
    await tracked({"type": "http.response.start", "status": 200, "headers": []})
    with pytest.raises(RuntimeError, match="has waited"):
        tracked.send_part(b"word")
