"""What is sent again, and what is not, where a router fails in between."""

import select
import socket
import threading

import pytest

from highwayman.client import AsyncClient, Client, ConnectionFailed, RequestTimedOut, ServerError
from highwayman.client.call import Call
from highwayman.client.endpoint import endpoint
from highwayman.client.errors import status_error
from tests.upstream_server import ANY, Fail, Hang, HangUp, ScriptedUpstream, Send

RECEIPT = b'{"id": "hw-a:b", "decision_id": "hw-a", "value": 1.0, "state": "logged"}'
TAKEN = Send((RECEIPT,), content_type="application/json")


async def test_feedback_is_sent_again_with_the_same_key_until_it_is_taken() -> None:
    async with ScriptedUpstream() as router, AsyncClient(base_url=router.url, retry_wait_s=0.001) as client:
        router.script(ANY, Fail(503), HangUp(), TAKEN)
        assert (await client.thumbs_up("hw-a")).state == "logged"
        assert len(router.requests) == 3
        assert len({body["idempotency_key"] for body in router.requests}) == 1


async def test_what_may_have_been_done_is_not_done_twice() -> None:
    async with ScriptedUpstream() as router, AsyncClient(base_url=router.url, retry_wait_s=0.001) as client:
        router.script(ANY, Fail(503))
        with pytest.raises(ServerError):
            await client.route([])
        router.script(ANY, HangUp())
        with pytest.raises(ConnectionFailed):
            await client.route([])
        assert len(router.requests) == 2


async def test_a_router_that_says_nothing_times_out() -> None:
    async with ScriptedUpstream() as router, AsyncClient(base_url=router.url, timeout=0.05, max_retries=0) as client:
        router.script(ANY, Hang())
        with pytest.raises(RequestTimedOut):
            await client.thumbs_up("hw-a")


def test_where_no_router_is_both_clients_say_where_they_looked() -> None:
    with socket.socket() as bound:  # and does not listen
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
        with Client(base_url=url, max_retries=1, retry_wait_s=0.0) as client:
            with pytest.raises(ConnectionFailed, match=url) as error:
                client.rollback()
            assert not error.value.sent


def test_a_connection_that_the_router_has_closed_is_not_written_to() -> None:
    standings = b'{"champion": "a", "challenger": null, "share": 0, "worth_its_exploration": true, "contenders": {}}'
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(standings), standings)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_once_each() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)  # and close, without having said so

        router = threading.Thread(target=answer_once_each, daemon=True)
        router.start()
        with Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", max_retries=0) as client:
            assert client.rollback().champion == "a"
            (kept,) = client._idle
            select.select([kept.sock], [], [], 5)  # until the end of the connection is here
            assert client.rollback().champion == "a", "which is not sent again once it may have been done"
        router.join()


def test_waits_double_and_what_the_router_says_goes_before() -> None:
    here = endpoint(None, "k", timeout=1, max_retries=3, retry_wait_s=0.5, environment={})
    said = Call("POST", "/feedback", dict)
    undone = Call("POST", "/tournament/rollback", dict, repeatable=False)
    failed, limited = status_error(503, b"", None), status_error(429, b"", "7")
    assert [here.wait_s(said, failed, repeated) for repeated in range(4)] == [0.5, 1.0, 2.0, None]
    assert here.wait_s(said, limited, 0) == 7.0
    assert here.wait_s(undone, limited, 0) == 7.0, "a refusal has done nothing"
    assert here.wait_s(undone, failed, 0) is None
    assert here.wait_s(said, status_error(429, b"", "3600"), 0) is None, "nobody waits for an hour"
    assert here.wait_s(said, status_error(422, b"", None), 0) is None


def test_the_environment_says_where_the_router_is_and_the_key_is_not_shown() -> None:
    environment = {"HIGHWAYMAN_BASE_URL": "https://router.example/hw/v1/", "HIGHWAYMAN_API_KEY": "hwk-secret"}
    there = endpoint(None, None, timeout=1, max_retries=0, retry_wait_s=0, environment=environment)
    assert there.base_url == "https://router.example/hw/v1"
    assert there.target(Call("GET", "/decisions", dict, query={"limit": 2, "feedback": True, "arm": None})) == (
        "/hw/v1/decisions?limit=2&feedback=true"
    )
    assert there.headers()["authorization"] == "Bearer hwk-secret"
    assert "hwk-secret" not in repr(there)
    with pytest.raises(ValueError, match="base_url must be an address such as"):
        endpoint("router.example", None, timeout=1, max_retries=0, retry_wait_s=0)
