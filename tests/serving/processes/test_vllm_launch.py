import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from highwayman.env.errors import ConfigError
from highwayman.env.pool.pool_file import LaunchSpec, PoolFile
from highwayman.env.types import Arm
from highwayman.serving.processes.restart_policy import RestartPolicy
from highwayman.serving.processes.vllm_launch import Devices, VllmServer, find_devices, plan_servers
from highwayman.serving.processes.vllm_supervise import LaunchError, LaunchOptions, run_pool
from tests.ports import free_port

DEADLINE_S = 20.0
FAKE = Path(__file__).with_name("fake_vllm.py")


def arm(name: str, model: str, key: str | None = None) -> Arm:
    return Arm(name, ("http://127.0.0.1:1",), model, None, None, 2048, api_key_env=key)


def pool_of(*launched: tuple[Arm, LaunchSpec]) -> PoolFile:
    return PoolFile(tuple(arm for arm, _ in launched), {arm.name: spec for arm, spec in launched})


def test_the_command_of_a_server_says_all_that_its_arms_ask_for() -> None:
    spec = LaunchSpec("/models/tiny", 8001, "bfloat16", 2048, args=("--enforce-eager",), env={"A": "b"})
    adapted = LaunchSpec("/models/tiny", 8001, "bfloat16", 2048, {"fox": "/lora"}, ("--enforce-eager",), {"A": "b"})
    pool = pool_of((arm("base", "tiny"), spec), (arm("adapted", "fox"), adapted))
    (server,) = plan_servers(pool, Devices((), (0, 1)), python="/venv/python")
    assert server == VllmServer(
        port=8001,
        arms=("base", "adapted"),
        models=("tiny", "fox"),
        argv=(
            *("/venv/python", "-m", "vllm.entrypoints.openai.api_server"),
            *("--host", "127.0.0.1", "--port", "8001", "--model", "/models/tiny", "--served-model-name", "tiny"),
            *("--dtype", "bfloat16", "--max-model-len", "2048"),
            *("--enable-lora", "--lora-modules", "fox=/lora", "--enforce-eager"),
        ),
        env={"VLLM_CPU_OMP_THREADS_BIND": "0,1", "A": "b"},
    )


def test_a_server_asked_for_by_a_lora_arm_alone_serves_its_model_under_the_models_own_name() -> None:
    pool = pool_of((arm("adapted", "fox"), LaunchSpec("org/tiny", 8001, lora={"fox": "/lora"})))
    assert plan_servers(pool, Devices((), (0,)), python="p")[0].models == ("org/tiny", "fox")


@pytest.mark.parametrize(
    ("devices", "places"),
    [
        (Devices((), (0, 1)), ["0", "1", "0"]),
        (Devices((), (0, 1, 2, 3, 4, 5, 6)), ["0,1", "2,3", "4,5"]),
        (Devices(("0", "1", "2", "3"), (0, 1)), ["0", "1", "2"]),
        (Devices(("GPU-a", "GPU-b", "GPU-c"), (0,)), ["GPU-a", "GPU-b", "GPU-c"]),
    ],
)
def test_each_server_has_a_gpu_or_its_own_cores(devices: Devices, places: list[str]) -> None:
    pool = pool_of(*((arm(f"a{port}", "m"), LaunchSpec("m", port)) for port in (1, 2, 3)))
    variable = "CUDA_VISIBLE_DEVICES" if devices.gpus else "VLLM_CPU_OMP_THREADS_BIND"
    assert [server.env for server in plan_servers(pool, devices, python="p")] == [{variable: place} for place in places]


def test_a_server_that_names_its_device_keeps_it_and_takes_none_from_the_others() -> None:
    big = LaunchSpec("m", 1, env={"CUDA_VISIBLE_DEVICES": "1,2"})
    pool = pool_of((arm("big", "m"), big), (arm("small", "m"), LaunchSpec("m", 2)))
    servers = plan_servers(pool, Devices(("0",), (0,)), python="p")
    assert [server.env["CUDA_VISIBLE_DEVICES"] for server in servers] == ["1,2", "0"]


def test_more_servers_than_gpus_are_refused_with_the_way_to_share_one() -> None:
    pool = pool_of(*((arm(f"a{port}", "m"), LaunchSpec("m", port)) for port in (1, 2)))
    with pytest.raises(ConfigError, match=r"2 servers want a GPU each, and there are 1\. To share one"):
        plan_servers(pool, Devices(("0",), (0,)), python="p")


def test_a_pool_with_nothing_to_launch_and_arms_that_disagree_on_a_key_are_refused() -> None:
    with pytest.raises(ConfigError, match="no arm has a `launch` entry"):
        plan_servers(PoolFile((arm("a", "m"),), {}), Devices((), (0,)), python="p")
    two = pool_of((arm("a", "m", "KEY_A"), LaunchSpec("m", 1)), (arm("b", "m", "KEY_B"), LaunchSpec("m", 1)))
    with pytest.raises(ConfigError, match="KEY_A and KEY_B"):
        plan_servers(two, Devices((), (0,)), python="p")


def test_gpus_are_those_the_environment_allows_or_else_those_of_the_machine(tmp_path: Path) -> None:
    for node in ("nvidia10", "nvidia2", "nvidia0", "nvidiactl"):
        (tmp_path / node).touch()
    assert find_devices({}, dev=tmp_path).gpus == ("0", "2", "10")
    assert find_devices({"CUDA_VISIBLE_DEVICES": "2, GPU-a"}, dev=tmp_path).gpus == ("2", "GPU-a")
    assert find_devices({"CUDA_VISIBLE_DEVICES": ""}, dev=tmp_path).gpus == ()
    assert find_devices({}, dev=tmp_path / "none").cores == tuple(sorted(os.sched_getaffinity(0)))


# From here on a real process answers in vLLM's place.


def get(port: int, path: str) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return str(response.read().decode())
    except OSError:
        return None


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def fake(port: int, *args: str, **env: str) -> VllmServer:
    argv = (sys.executable, str(FAKE), "-m", "module", "--port", str(port), *args)
    return VllmServer(port, (f"arm-{port}",), ("m", "lora"), argv, env)


@asynccontextmanager
async def running(
    tmp_path: Path, *servers: VllmServer, restarts: RestartPolicy | None = None
) -> AsyncIterator[tuple[list[str], "asyncio.Task[None]"]]:
    """Run a pool, once it is ready or has failed, and stop it at the end."""
    said: list[str] = []
    ready, stop = asyncio.Event(), asyncio.Event()

    def say(text: str) -> None:
        said.append(text)
        if text.startswith("pool ready"):
            ready.set()

    how = LaunchOptions(
        tmp_path / "logs", say, ready_within_s=DEADLINE_S, restarts=restarts or RestartPolicy(first_s=0.05)
    )
    task = asyncio.create_task(run_pool(servers, how, stop))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        yield said, task
    finally:
        stop.set()
        await asyncio.gather(task, return_exceptions=True)


async def test_servers_are_started_warmed_up_and_stopped(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    async with running(tmp_path, fake(first, PLACE="0"), fake(second)) as (said, task):
        assert not task.done()
        assert '"PLACE": "0"' in (await asyncio.to_thread(get, first, "/environment") or "")
        assert await asyncio.to_thread(get, second, "/health")
    assert get(first, "/health") is None
    assert get(second, "/health") is None
    assert (tmp_path / f"logs/vllm-{first}.log").read_text() == "warmed up: m True\nwarmed up: lora True\n"
    assert "pool ready: 2 arms on 2 servers" in said
    assert said[-1] == "pool stopped"


async def test_a_killed_server_comes_back_while_the_other_is_left_alone(tmp_path: Path) -> None:
    port, other = free_port(), free_port()
    async with running(tmp_path, fake(port), fake(other)) as (said, _):
        before = int(await asyncio.to_thread(get, port, "/pid") or 0)
        untouched = await asyncio.to_thread(get, other, "/pid")
        os.kill(before, signal.SIGKILL)
        await asyncio.to_thread(until, lambda: get(port, "/pid") not in {None, str(before)})
        assert await asyncio.to_thread(get, other, "/pid") == untouched
    assert f"vllm-{port}: died (signal 9), restarting in 0.05 s" in said


async def test_a_server_that_does_not_start_ends_the_launch_with_the_end_of_its_log(tmp_path: Path) -> None:
    port, other = free_port(), free_port()
    async with running(tmp_path, fake(port, "--fail-when", str(tmp_path)), fake(other)) as (_, task):
        with pytest.raises(LaunchError, match=r"ended while starting \(exit code 1\)(.|\n)*ValueError: no such model"):
            await task
    assert get(other, "/health") is None


async def test_a_server_that_keeps_dying_is_given_up_and_then_the_launch_fails(tmp_path: Path) -> None:
    port, switch = free_port(), tmp_path / "broken"
    policy = RestartPolicy(first_s=0.01, limit=2)
    async with running(tmp_path, fake(port, "--fail-when", str(switch)), restarts=policy) as (said, task):
        switch.touch()
        os.kill(int(await asyncio.to_thread(get, port, "/pid") or 0), signal.SIGKILL)
        with pytest.raises(LaunchError, match="every server of the pool has died too often"):
            await asyncio.wait_for(task, DEADLINE_S)
    assert any("too often, staying down" in line and "no such model" in line for line in said)


async def test_a_server_that_never_answers_is_given_up_after_its_time(tmp_path: Path) -> None:
    port = free_port()
    deaf = VllmServer(
        port, ("a",), ("m",), (sys.executable, "-c", "import signal; print('loading'); signal.pause()"), {}
    )
    how = LaunchOptions(tmp_path, lambda _: None, ready_within_s=0.5)
    with pytest.raises(LaunchError, match=r"did not answer /health within 0\.5 s"):
        await run_pool([deaf], how, asyncio.Event())


async def test_a_taken_port_or_a_missing_key_is_refused_before_anything_starts(tmp_path: Path) -> None:
    how = LaunchOptions(tmp_path, lambda _: None, environment={})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="cannot be listened on"):
            await run_pool([fake(taken.getsockname()[1])], how, asyncio.Event())
    keyed = VllmServer(free_port(), ("a",), ("m",), ("true",), {}, api_key_env="VLLM_TEST_KEY")
    with pytest.raises(ConfigError, match="VLLM_TEST_KEY, which is not set"):
        await run_pool([keyed], how, asyncio.Event())


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", int, str]]:
    """Yield `highwayman pool launch` over one server that is ready, its port and its process id."""
    port = free_port()
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} "$@"\n')
    python.chmod(0o755)
    pool = tmp_path / "pool.yaml"
    pool.write_text(
        f"arms: {{a: {{model: m, price: unknown, launch: {{model: m, port: {port}, max_model_len: 99}}}}}}\n"
    )
    command = "from highwayman.serving.cli.router.pool import pool; pool()"
    argv = [sys.executable, "-c", command, "launch", str(pool), "--python", str(python), "--log-folder", str(tmp_path)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout
    lines = iter(process.stdout.readline, "")
    assert any(re.match("pool ready: 1 arms on 1 servers", line) for line in lines)
    yield process, port, get(port, "/pid") or ""
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_stops_its_servers_and_ends_well_when_asked_to(
    launched: tuple["subprocess.Popen[str]", int, str], number: signal.Signals
) -> None:
    process, port, _ = launched
    process.send_signal(number)
    assert process.wait(DEADLINE_S) == 0
    assert get(port, "/health") is None


def test_servers_die_with_a_command_that_is_killed(launched: tuple["subprocess.Popen[str]", int, str]) -> None:
    process, _, pid = launched
    process.kill()
    process.wait()
    until(lambda: not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text())
