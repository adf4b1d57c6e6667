"""Runs the servers of a pool: starts them, waits until they answer, restarts what dies, stops them all."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from highwayman.env.errors import ConfigError, HighwaymanError
from highwayman.serving.processes import die_with_parent
from highwayman.serving.processes.vllm_launch import RestartPolicy, VllmServer

_POLL_S = 0.25  # between two looks at /health while a server starts
_WARM_UP_S = 300.0  # the first logprobs request compiles kernels on some builds


class LaunchError(HighwaymanError):
    """A server of the pool did not come up."""


@dataclass(frozen=True, slots=True)
class LaunchOptions:
    """How the servers are run, the same for all of them."""

    log_folder: Path
    echo: Callable[[str], None]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    ready_within_s: float = 600.0
    grace_s: float = 20.0  # from asking a server to stop to killing it
    restarts: RestartPolicy = field(default_factory=RestartPolicy)


async def run_pool(servers: Sequence[VllmServer], how: LaunchOptions, stop: asyncio.Event) -> None:
    """Run `servers` until `stop` is set, restarting any that dies.

    Raises:
        ConfigError: a port is taken, or a key's variable is not set.
        LaunchError: a server did not come up at first, or every one of them has died too often.
    """
    for server in servers:
        _refuse_taken_port(server.port)
        _child_environment(server, how.environment)
    how.log_folder.mkdir(parents=True, exist_ok=True)
    stopping = asyncio.create_task(stop.wait())
    runners = [_Runner(server, how) for server in servers]
    try:
        if await _unless(stopping, [runner.start() for runner in runners]):
            how.echo(f"pool ready: {sum(len(server.arms) for server in servers)} arms on {len(servers)} servers")
            if await _unless(stopping, [runner.keep_up() for runner in runners]):
                raise LaunchError("every server of the pool has died too often; see the logs above.")
    finally:
        stopping.cancel()
        await asyncio.gather(*(runner.stop() for runner in runners))
        how.echo("pool stopped")


async def _unless(stopping: "asyncio.Task[bool]", work: Sequence[Coroutine[Any, Any, None]]) -> bool:
    """Return whether all of `work` was done before `stopping` was; the first error among it is raised at once."""
    tasks = [asyncio.ensure_future(each) for each in work]
    together = asyncio.gather(*tasks)
    ends: set[asyncio.Future[Any]] = {stopping, together}
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if together.done():
            together.result()
            return True
        return False
    finally:
        together.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Runner:
    """Keeps the process of one server."""

    def __init__(self, server: VllmServer, how: LaunchOptions) -> None:
        self._server = server
        self._how = how
        self._log = how.log_folder / f"{server.label}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._deaths: list[float] = []

    async def start(self) -> None:
        """Start the server, wait until it answers, and warm it up."""
        server, began = self._server, time.monotonic()
        self._say(f"starting for {', '.join(server.arms)} (log: {self._log})")
        self._process = await self._spawn()
        await self._until_healthy(self._process)
        answered = time.monotonic()
        await self._warm_up()
        self._say(f"ready in {answered - began:.1f} s, warmed up in {time.monotonic() - answered:.1f} s")

    async def keep_up(self) -> None:
        """Restart the server each time it dies; return when it has died too often."""
        while self._process is not None:
            code = await self._process.wait()
            self._deaths.append(time.monotonic())
            delay_s = self._how.restarts.delay_s(self._deaths, time.monotonic())
            if delay_s is None:
                self._say(f"died ({_cause(code)}) too often, staying down. Its log ends:\n{_tail(self._log)}")
                return
            self._say(f"died ({_cause(code)}), restarting in {delay_s:g} s")
            _signal_group(self._process, signal.SIGKILL)  # what it left behind holds its memory
            await asyncio.sleep(delay_s)
            try:
                await self.start()
            except LaunchError as error:
                self._say(f"did not come back: {error}")
                await self.stop()

    async def stop(self) -> None:
        """Ask the server to stop, and kill it when it takes too long."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            _signal_group(process, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), self._how.grace_s)
        _signal_group(process, signal.SIGKILL)
        await process.wait()

    async def _spawn(self) -> asyncio.subprocess.Process:
        tether = (sys.executable, "-I", die_with_parent.__file__, str(os.getpid()))
        with self._log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *tether,
                *self._server.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_child_environment(self._server, self._how.environment),
                start_new_session=True,
            )

    async def _until_healthy(self, process: asyncio.subprocess.Process) -> None:
        polling, dying = asyncio.create_task(self._poll_health()), asyncio.create_task(process.wait())
        limit_s = self._how.ready_within_s
        try:
            await asyncio.wait({polling, dying}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if dying.done():
                self._fail(f"ended while starting ({_cause(dying.result())})")
            if not polling.done():
                self._fail(f"did not answer /health within {limit_s:g} s")
        finally:
            polling.cancel()
            dying.cancel()

    async def _poll_health(self) -> None:
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                    async with session.get(f"{self._server.url}/health") as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(_POLL_S)

    async def _warm_up(self) -> None:
        """Send what is slow the first time: a chat with logprobs, to the model and each adapter."""
        key = self._how.environment.get(self._server.api_key_env or "")
        headers = {"authorization": f"Bearer {key}"} if key else {}
        timeout = aiohttp.ClientTimeout(total=_WARM_UP_S)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            for model in self._server.models:
                messages = [{"role": "user", "content": "Hello"}]
                body = {"model": model, "messages": messages, "max_tokens": 2, "logprobs": True, "top_logprobs": 1}
                try:
                    async with session.post(f"{self._server.url}/v1/chat/completions", json=body) as response:
                        if response.status != 200:
                            self._say(f"warm-up of '{model}' was answered with {response.status}; serving it cold")
                except (aiohttp.ClientError, OSError, TimeoutError) as error:
                    self._say(f"warm-up of '{model}' failed: {error or type(error).__name__}; serving it cold")

    def _fail(self, what: str) -> None:
        raise LaunchError(f"{self._server.label} {what}. Its log ({self._log}) ends:\n{_tail(self._log)}")

    def _say(self, text: str) -> None:
        self._how.echo(f"{self._server.label}: {text}")


def _child_environment(server: VllmServer, environment: Mapping[str, str]) -> dict[str, str]:
    key: dict[str, str] = {}
    if server.api_key_env:
        if server.api_key_env not in environment:
            raise ConfigError(f"{server.label}: its arms name the key {server.api_key_env}, which is not set.")
        key = {"VLLM_API_KEY": environment[server.api_key_env]}
    return {**environment, **key, **server.env}


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigError(
                f"port {port}: cannot be listened on: {error.strerror}. Is a server running there?"
            ) from error


def _signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _cause(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _tail(log: Path, lines: int = 20) -> str:
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 16_384))
        text = file.read().decode("utf-8", errors="replace")
    return "\n".join(f"  | {line}" for line in text.splitlines()[-lines:])
