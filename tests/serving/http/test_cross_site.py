"""What pages of other origins can and cannot do with a router, over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from highwayman.env.errors import ConfigError
from highwayman.serving.config.config import load_config
from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ScriptedUpstream

CHAT, FEEDBACK = "/v1/chat/completions", "/v1/feedback"
JSON = {"content-type": "application/json"}
BODY = json.dumps(ask()).encode()
PAGE = "https://chat.example"


@pytest.fixture
async def router(upstream: ScriptedUpstream, valkey_url: str, namespace: str) -> AsyncIterator[Router]:
    """One without keys."""
    async with running_router([arm("a", upstream.url)], valkey_url, namespace) as started:
        yield started


def configured(upstream: ScriptedUpstream, valkey_url: str, namespace: str, **settings: Any) -> Any:
    """One that lets pages of one origin in, and is called router.lan, too."""
    config = {"cors": {"allow_origins": [PAGE]}, "allowed_hosts": ["Router.lan"]}
    return running_router([arm("a", upstream.url)], valkey_url, namespace, config=config, **settings)


async def sent(router: Router, method: str = "POST", path: str = CHAT, **headers: str) -> tuple[int, Any, Any]:
    """Return status, parsed body (None where there is none) and headers of an answer to a chat request."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with router.http.request(
        method, path, data=BODY if method == "POST" else None, headers={**JSON, **named}
    ) as response:
        raw = await response.read()
        return response.status, json.loads(raw) if raw else None, response.headers


async def raw_post(router: Router, head: str, body: bytes = BODY) -> tuple[int, Any]:
    """Return status and parsed body of the answer to a request with just these headers."""
    url = router.http._base_url
    assert url is not None
    reader, writer = await asyncio.open_connection(url.host, url.port)
    length = f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    writer.write(f"POST {CHAT} HTTP/1.1\r\n{head}{length}".encode() + body)
    answer = await reader.read()
    writer.close()
    top, _, rest = answer.partition(b"\r\n\r\n")
    return int(top.split()[1]), json.loads(rest)


async def code(router: Router, **headers: str) -> tuple[int, str]:
    status, body, _ = await sent(router, **headers)
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return status, body["error"]["code"]


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8790", "localhost.evil.example", "127.0.0.1.evil.example", "xlocalhost"),
        *("192.168.0.7:8790", "[2001:db8::1]:8790", "127.0.0.1:8790@evil.example", "[::1]evil", "worker", ""),
    ],
)
async def test_a_name_that_is_not_this_machines_is_refused(
    router: Router, upstream: ScriptedUpstream, host: str
) -> None:
    status, body = await raw_post(router, f"host: {host}\r\ncontent-type: application/json\r\n")
    assert (status, body["error"]["code"]) == (403, "host_not_allowed")
    assert "allowed_hosts" in body["error"]["message"]
    assert upstream.requests == []


async def test_without_a_host_there_is_no_answer(router: Router) -> None:
    assert (await raw_post(router, "content-type: application/json\r\n"))[0] == 403


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.1:8790", "127.8.9.10:1", "LOCALHOST:8790", "localhost.", "a.localhost:80"),
        *("[::1]", "[::1]:8790", "[0:0:0:0:0:0:0:1]:8790", "[::ffff:127.0.0.1]:8790"),
    ],
)
async def test_every_name_of_loopback_is_answered(router: Router, host: str) -> None:
    status, _ = await raw_post(router, f"Host: {host}\r\nContent-Type: application/json\r\n")
    assert status == 200


@pytest.mark.parametrize(
    "origin",
    [
        *("https://evil.example", "null", "", "http://localhost:3000", "http://127.0.0.1", "file://"),
        *("http://127.0.0.1:8790.evil.example", "chrome-extension://abc"),
    ],
)
async def test_a_page_of_another_origin_can_neither_ask_nor_vote_nor_read(
    router: Router, upstream: ScriptedUpstream, origin: str
) -> None:
    for method, path in (("POST", CHAT), ("POST", FEEDBACK), ("GET", "/v1/policy"), ("DELETE", f"{FEEDBACK}/fb-1")):
        status, body, headers = await sent(router, method, path, origin=origin)
        assert (status, body["error"]["code"]) == (403, "origin_not_allowed"), path
        assert "access-control-allow-origin" not in headers
    assert upstream.requests == []


async def test_the_routers_own_pages_may_ask(router: Router) -> None:
    assert (await sent(router, origin=router.url))[0] == 200
    port = router.url.rpartition(":")[2]
    assert (await sent(router, host=f"[::1]:{port}", origin=f"http://[::1]:{port}"))[0] == 200
    assert await code(router, origin=f"http://localhost:{port}") == (403, "origin_not_allowed")  # called 127.0.0.1


async def test_what_a_proxy_would_say_is_not_believed(router: Router) -> None:
    told = {"x_forwarded_host": "127.0.0.1", "x_forwarded_for": "127.0.0.1", "forwarded": "host=127.0.0.1"}
    assert await code(router, host="evil.example", **told) == (403, "host_not_allowed")
    own = {"x_forwarded_host": "evil.example", "x_forwarded_proto": "https"}
    assert await code(router, origin="https://evil.example", **own) == (403, "origin_not_allowed")


async def test_a_preflight_of_another_origin_gets_no_leave(router: Router) -> None:
    asked = {"access_control_request_method": "POST", "access_control_request_headers": "content-type"}
    status, body, headers = await sent(router, "OPTIONS", origin="https://evil.example", **asked)
    assert (status, body["error"]["code"]) == (403, "origin_not_allowed")
    assert not [name for name in headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/plain;charset=UTF-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
    ],
)
async def test_what_a_page_may_post_unasked_is_not_taken_for_json(
    router: Router, upstream: ScriptedUpstream, content_type: str
) -> None:
    for path in (CHAT, FEEDBACK, "/api/public/scores"):
        status, body, _ = await sent(router, path=path, content_type=content_type)
        assert (status, body["error"]["code"]) == (415, "unsupported_media_type")
        assert "content-type: application/json" in body["error"]["message"]
    status, _ = await raw_post(router, "host: localhost\r\n")
    assert status == 415
    assert upstream.requests == []


@pytest.mark.parametrize("content_type", ["Application/JSON; charset=utf-8", "application/vnd.api+json"])
async def test_json_is_json_however_it_is_spelled(router: Router, content_type: str) -> None:
    assert (await sent(router, content_type=content_type))[0] == 200


async def test_health_is_told_to_whoever_asks(router: Router) -> None:
    for path in ("/healthz", "/readyz"):
        assert (await sent(router, "GET", path, host="evil.example", origin="https://evil.example"))[0] == 200


async def test_the_signed_page_for_one_vote_works_from_anywhere(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    config = {"feedback": {"vote_url": "https://votes.example"}}
    async with running_router([arm("a", upstream.url)], valkey_url, namespace, config=config) as router:
        _, _, headers = await sent(router)
        path = headers["x-highwayman-feedback-url"].removeprefix("https://votes.example")
        browser = {"host": "votes.example", "origin": "null"}  # the page's referrer policy makes it so
        async with router.http.get(path, headers=browser) as page:
            assert page.status == 200
        async with router.http.post(path, data={"value": "up"}, headers=browser) as page:
            assert page.status == 200
        decision = await router.decision(headers["x-highwayman-decision"], feedback=1)
        assert decision["feedback"][0]["source"] == "link"


async def test_a_configured_name_and_a_configured_origin_are_let_in(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    async with configured(upstream, valkey_url, namespace) as router:
        assert (await sent(router, host="ROUTER.lan:8790"))[0] == 200
        assert (await sent(router, host="router.lan:8790", origin="http://router.lan:8790"))[0] == 200
        assert await code(router, host="other.lan:8790") == (403, "host_not_allowed")
        assert await code(router, origin="https://evil.example") == (403, "origin_not_allowed")
        status, _, headers = await sent(router, origin=PAGE)
        assert (status, headers["access-control-allow-origin"], headers["vary"]) == (200, PAGE, "origin")
        assert "x-highwayman-decision" in headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in headers
        assert "access-control-allow-origin" not in (await sent(router))[2]


@pytest.mark.parametrize("keys", [frozenset(), frozenset({"k"})])
async def test_a_preflight_of_a_configured_origin_needs_no_key_and_gets_leave(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str, keys: frozenset[str]
) -> None:
    asked = {"access_control_request_method": "POST", "access_control_request_headers": "authorization,content-type"}
    async with configured(upstream, valkey_url, namespace, api_keys=keys) as router:
        status, body, headers = await sent(router, "OPTIONS", origin=PAGE, **asked)
        assert (status, body, headers["access-control-allow-origin"]) == (200, None, PAGE)
        assert headers["access-control-allow-headers"] == "authorization,content-type"
        assert "POST" in headers["access-control-allow-methods"]
        refused = await sent(router, "OPTIONS", origin="https://evil.example", **asked)
        assert refused[0] == (401 if keys else 403)
        assert "access-control-allow-origin" not in refused[2]


async def test_with_keys_a_key_is_what_counts_and_a_stranger_may_not_read(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    key = {"authorization": "Bearer k"}
    async with configured(upstream, valkey_url, namespace, api_keys=frozenset({"k"})) as router:
        told = {"host": "router.example", "origin": "https://evil.example", "content_type": "text/plain"}
        status, _, headers = await sent(router, **told, **key)
        assert status == 200
        assert "access-control-allow-origin" not in headers
        status, _, headers = await sent(router, origin=PAGE)  # a page must be able to read why
        assert (status, headers["access-control-allow-origin"]) == (401, PAGE)
        assert (await sent(router, origin=PAGE, **key))[2]["access-control-allow-origin"] == PAGE


async def test_a_stream_can_be_read_by_a_page_that_is_let_in(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    async with (
        configured(upstream, valkey_url, namespace) as router,
        router.http.post(CHAT, json=ask(stream=True), headers={"origin": PAGE}) as response,
    ):
        assert response.headers["access-control-allow-origin"] == PAGE
        assert (await response.read()).endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cors: {allow_origins: [chat.example]}", "'chat.example' is no origin; write https://chat.example"),
        ("cors: {allow_origins: ['https://chat.example/']}", "is no origin"),
        ("cors: {allow_origins: ['null']}", "is no origin"),
        ("allowed_hosts: ['http://router.lan']", "is no host name; write router.example"),
        ("allowed_hosts: ['router.lan:8790']", "is no host name"),
        ("cors: {origins: ['*']}", "unknown key 'cors.origins'"),
    ],
)
def test_what_is_no_origin_or_name_is_refused_with_what_would_be(tmp_path: Any, text: str, told: str) -> None:
    (tmp_path / "highwayman.yaml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_config(tmp_path / "highwayman.yaml")
    assert told in str(refused.value)


async def test_every_origin_may_be_let_in(upstream: ScriptedUpstream, valkey_url: str, namespace: str) -> None:
    config = {"cors": {"allow_origins": ["*"]}}
    async with running_router([arm("a", upstream.url)], valkey_url, namespace, config=config) as router:
        status, _, headers = await sent(router, origin="https://any.example")
        assert (status, headers["access-control-allow-origin"]) == (200, "https://any.example")
