"""Calls over aiohttp's connections without its requests: servers get the same, and answers are read the same."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from highwayman.env.types import Arm
from highwayman.env.upstream.calls.connections import Connections
from highwayman.env.upstream.calls.exchange import Address

ARM = Arm("small", ("http://s:1",), "m", None, None, 4096)
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class Server:
    """Writes the same for each request, whose head and body it keeps."""

    def __init__(self, answer: bytes) -> None:
        self.requests: list[tuple[str, Mapping[str, str], bytes]] = []
        self.connections = 0
        self._answer = answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().strip().split("\r\n")
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
                assert len(headers) == len(lines)  # none twice
                self.requests.append((first, headers, await reader.readexactly(int(headers["content-length"]))))
                writer.write(self._answer)
                if b"connection: close" in self._answer.lower():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(
    answer: bytes = ANSWER, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Server, Connections, str]]:
    server, connections = Server(answer), Connections(2.0)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    await connections.start()
    scheme = "http" if tls is None else "https"
    try:
        yield server, connections, f"{scheme}://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1/a%20b?c=d"
    finally:
        await connections.close()
        listener.close()


async def test_a_server_gets_what_an_aiohttp_session_would_send(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALL_KEY", "k")
    arm, body = replace(ARM, api_key_env="SMALL_KEY", headers={"x-tenant": "é"}), b"{" + b" " * 100_000 + b"}"
    async with serving() as (server, connections, url), aiohttp.ClientSession() as session:
        for _ in range(2):
            answer = await connections.post(arm, url, body)
            assert await answer.content.read() == b"{}"
        headers = {"content-type": "application/json", "authorization": "Bearer k", "x-tenant": "é"}
        async with session.post(url, data=body, headers=headers):
            pass
        assert server.requests[0] == server.requests[1] == server.requests[2]
        assert server.connections == 2  # one is kept, and the session has its own


async def test_an_arms_own_header_takes_the_place_of_ours_however_it_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SMALL_KEY", "k")
    arm = replace(ARM, api_key_env="SMALL_KEY", headers={"Authorization": "Basic z", "Content-Type": "text/json"})
    async with serving() as (server, connections, url):
        await (await connections.post(arm, url, b"{}")).content.read()
    _, headers, _ = server.requests[0]
    assert (headers["authorization"], headers["content-type"]) == ("Basic z", "text/json")


async def test_headers_of_the_one_call_go_with_it_and_with_no_other() -> None:
    async with serving() as (server, connections, url):
        for number in range(2):
            connections.call_headers = lambda number=number: {"traceparent": str(number)}  # type: ignore[misc]
            await (await connections.post(ARM, url, b"{}")).content.read()
        connections.call_headers = None
        await (await connections.post(ARM, url, b"{}")).content.read()
        assert [headers.get("traceparent") for _, headers, _ in server.requests] == ["0", "1", None]


async def test_heads_that_come_before_an_answers_own_are_passed_over() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    async with serving(early + ANSWER) as (server, connections, url):
        for stream in (False, True):
            answer = await connections.post(ARM, url, b"{}", stream=stream)
            assert (answer.status, await answer.content.read()) == (200, b"{}")
        assert server.connections == 1


@pytest.mark.parametrize("body", ["content-length: 2\r\nconnection: close\r\n\r\n{}", "connection: close\r\n\r\n{}"])
async def test_a_connection_that_is_announced_to_close_is_not_kept(body: str) -> None:
    async with serving(b"HTTP/1.1 200 OK\r\n" + body.encode()) as (server, connections, url):
        for _ in range(2):
            assert await (await connections.post(ARM, url, b"{}")).content.read() == b"{}"
        assert server.connections == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_no_http_is_an_error_of_aiohttps_and_its_connection_is_dropped(stream: bool) -> None:
    async with serving(b"SSH-2.0-OpenSSH_9.2\r\n\r\n") as (server, connections, url):
        for _ in range(2):
            with pytest.raises(aiohttp.ClientResponseError):
                await connections.post(ARM, url, b"{}", stream=stream)
        assert server.connections == 2


async def test_an_answer_that_is_closed_before_its_end_takes_its_connection_with_it() -> None:
    async with serving(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}") as (server, connections, url):
        for _ in range(2):
            (await connections.post(ARM, url, b"{}")).close()
        assert server.connections == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_a_connection_on_which_a_request_is_answered_before_it_is_read_is_not_kept(stream: bool) -> None:
    answered = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await answered.wait()
        writer.close()

    connections = Connections(2.0)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener:
        await connections.start()
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
        async with asyncio.timeout(2):
            for body in (b" " * 10_000_000, b"{}"):
                answer = await connections.post(ARM, url, body, stream=stream)
                assert await answer.content.read() == b"{}"
        answered.set()
        await connections.close()


async def test_a_call_that_is_given_up_takes_its_connection_with_it() -> None:
    async with serving(b"HTTP/1.1 200 OK\r\n") as (server, connections, url):
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await connections.post(ARM, url, b"{}")
        assert server.connections == 2


async def test_a_header_with_a_line_break_goes_nowhere() -> None:
    with pytest.raises(ValueError, match="line break"):
        Address.of("http://s:1/v1", {"x-tenant": "a\r\nx-admin: yes"})


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    """Return the path of one for 127.0.0.1, whose key is beside it."""
    openssl, pem = shutil.which("openssl"), str(tmp_path / "pem")
    if openssl is None:
        pytest.skip("openssl makes a certificate")
    what = f"-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {pem}.key -out {pem} -days 1"
    name = "-subj /CN=here -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([openssl, "req", "-x509", *what.split(), *name.split()], check=True, capture_output=True)
    return pem


async def test_calls_go_over_tls_to_who_is_trusted_and_to_nobody_else(
    certificate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, f"{certificate}.key")
    async with serving(tls=tls) as (_, connections, url):
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await connections.post(ARM, url, b"{}")
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    async with serving(tls=tls) as (server, connections, url):
        for stream in (False, True):
            answer = await connections.post(ARM, url, b"{}", stream=stream)
            assert await answer.content.read() == b"{}"
        assert server.connections == 1
