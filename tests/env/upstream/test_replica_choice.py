"""Which replica is asked: of those that serve the model the least busy, by what it says and by the calls from here."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import pytest

from highwayman.env.errors import UpstreamError
from highwayman.env.load.replica_loads import ReplicaLoads
from highwayman.env.load.vllm_metrics import EngineReading
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.types import Arm, JsonObject, Profile
from highwayman.env.upstream.client import Upstream, UpstreamResponse
from tests.upstream_server import ANY, BreakOff, Fail, Hang, Say, ScriptedUpstream

UNKNOWN = Fail(404, "The model `org/a` does not exist.")  # vLLM's words


class Calls:
    """An `Upstream` with what it knows of its replicas."""

    def __init__(self) -> None:
        self.health, self.loads = EndpointHealth(time.monotonic), ReplicaLoads(time.monotonic)
        self.upstream = Upstream(self.health, time.monotonic, loads=self.loads)

    async def open(self, arm: Arm, *, affinity: str = "", **body: object) -> UpstreamResponse:
        asked = {"messages": [{"role": "user", "content": "Hi"}], **body}
        make: Callable[[Arm], JsonObject] = lambda arm: {"model": arm.model, **asked}  # noqa: E731
        return await self.upstream.open([arm], "/v1/chat/completions", make, affinity=affinity)

    def tell(self, server: ScriptedUpstream, *, waiting: float = 0.0, running: float = 0.0) -> None:
        own = self.loads.own_calls(server.url)
        self.loads.on_reading(server.url, EngineReading(waiting, running), asked_at=time.monotonic(), own=own)


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    made = Calls()
    await made.upstream.start()
    yield made
    await made.upstream.close()


@pytest.fixture
async def servers() -> AsyncIterator[tuple[ScriptedUpstream, ScriptedUpstream]]:
    async with ScriptedUpstream() as one, ScriptedUpstream() as two:
        yield one, two


Servers = tuple[ScriptedUpstream, ScriptedUpstream]


def arm(servers: Servers, name: str = "a", **more: Profile) -> Arm:
    return Arm(name, tuple(server.url for server in servers), f"org/{name}", None, None, 4096, **more)


def asked(servers: Servers) -> list[int]:
    return [len(server.requests) for server in servers]


async def test_the_replica_that_says_it_has_least_to_do_is_asked(calls: Calls, servers: Servers) -> None:
    calls.tell(servers[0], waiting=1.0, running=2.0)
    calls.tell(servers[1], running=3.0)
    for _ in range(3):
        (await calls.open(arm(servers))).close()
    assert asked(servers) == [0, 3]


async def test_calls_that_are_not_over_count_though_their_stream_has_begun(calls: Calls, servers: Servers) -> None:
    for server in servers:
        server.script(ANY, Say("A long answer.", hold=asyncio.Event()))
        calls.tell(server)
    answers = [await calls.open(arm(servers), stream=True) for _ in range(4)]
    assert asked(servers) == [2, 2]
    for answer in answers:
        answer.close()
        answer.close()
    assert [calls.loads.own_calls(server.url) for server in servers] == [0, 0]


@pytest.mark.parametrize("behaviour", [Say(), Fail(400), Fail(500), BreakOff(events=3), Hang()], ids=str)
@pytest.mark.parametrize("stream", [True, False])
async def test_no_call_counts_once_it_is_over_however_it_ended(
    calls: Calls, servers: Servers, behaviour: Say, stream: bool
) -> None:
    servers[0].script(ANY, behaviour)
    only = Arm("a", (servers[0].url,), "org/a", None, None, 4096)
    opening = asyncio.create_task(calls.open(only, stream=stream))
    await servers[0].asked()
    if isinstance(behaviour, Hang):
        assert calls.loads.own_calls(servers[0].url) == 1
        opening.cancel()
    with contextlib.suppress(UpstreamError, asyncio.CancelledError):
        await (await opening).body()
    assert calls.loads.own_calls(servers[0].url) == 0


async def test_five_samples_are_five_calls_and_none_is_left(calls: Calls, servers: Servers) -> None:
    servers[0].script(ANY, Say("4"))
    await (await calls.open(arm(servers, profile=Profile(best_of=5)))).body()
    assert asked(servers) == [5, 0]
    assert calls.loads.own_calls(servers[0].url) == 0


async def test_a_conversation_leaves_a_replica_that_says_it_has_too_much_to_do(calls: Calls, servers: Servers) -> None:
    (await calls.open(arm(servers), affinity="c")).close()
    own, other = servers if asked(servers) == [1, 0] else servers[::-1]
    calls.tell(own, running=20.0)
    calls.tell(other, running=15.0)
    (await calls.open(arm(servers), affinity="c")).close()
    assert (len(own.requests), len(other.requests)) == (2, 0)
    calls.tell(own, waiting=10.0, running=20.0)
    (await calls.open(arm(servers), affinity="c")).close()
    assert (len(own.requests), len(other.requests)) == (2, 1)


@pytest.mark.parametrize("affinity", ["", "c", "d", "e"])
async def test_a_replica_that_does_not_list_the_model_is_not_asked(
    calls: Calls, servers: Servers, affinity: str
) -> None:
    calls.loads.on_models(servers[0].url, ["org/base"])
    servers[1].script(ANY, Fail(500))
    with pytest.raises(UpstreamError):
        await calls.open(arm(servers), affinity=affinity)
    assert asked(servers) == [0, 1]


async def test_a_replica_that_refuses_a_model_is_not_asked_for_it_again_but_for_others(
    calls: Calls, servers: Servers
) -> None:
    servers[0].script("org/a", UNKNOWN)
    for _ in range(3):
        (await calls.open(arm(servers))).close()
    assert asked(servers) == [1, 3]
    (await calls.open(arm(servers, "base"))).close()
    assert asked(servers) == [2, 3]
    assert calls.health.is_up(servers[0].url)


@pytest.mark.parametrize(
    ("message", "is_about_the_model"),
    [
        ("The model `org/a` does not exist.", True),
        ("The model 'org/a' does not exist or you do not have access to it.", True),
        ('model "org/a" not found, try pulling it first', True),
        ("Not Found", False),
    ],
)
async def test_only_a_404_that_speaks_of_the_model_leaves_the_endpoint_well(
    calls: Calls, servers: Servers, message: str, is_about_the_model: bool
) -> None:
    servers[0].script(ANY, Fail(404, message))
    (await calls.open(arm(servers))).close()
    assert calls.loads.serves(servers[0].url, "org/a") is not is_about_the_model
    assert calls.health.is_up(servers[0].url) is is_about_the_model


async def test_where_no_replica_is_known_to_serve_the_model_all_are_tried(calls: Calls, servers: Servers) -> None:
    for server in servers:
        calls.loads.on_models(server.url, ["org/base"])
    (await calls.open(arm(servers))).close()
    assert sum(asked(servers)) == 1
