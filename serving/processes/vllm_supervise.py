"""Runs the servers of a pool: starts them, waits until they answer, restarts what dies, stops them all."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from highwayman.env.errors import ConfigError
from highwayman.serving.processes.restart_policy import RestartPolicy
from highwayman.serving.processes.supervised_process import (
    PortTaken,
    ProcessFailed,
    ProcessObserver,
    ProcessOptions,
    SupervisedProcess,
    checked_port,
)
from highwayman.serving.processes.vllm_launch import VllmServer

_POLL_S = 0.25  # between two looks at /health while a server starts
_WARM_UP_S = 300.0  # the first logprobs request compiles kernels on some builds


class LaunchError(ProcessFailed):
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
    processes = [_checked_process(server, how) for server in servers]
    how.log_folder.mkdir(parents=True, exist_ok=True)
    stopping = asyncio.create_task(stop.wait())
    try:
        if await _unless(stopping, [process.launch() for process in processes]):
            how.echo(f"pool ready: {sum(len(server.arms) for server in servers)} arms on {len(servers)} servers")
            if await _unless(stopping, [process.keep_up() for process in processes]):
                raise LaunchError("every server of the pool has died too often; see the logs above.")
    finally:
        stopping.cancel()
        await asyncio.gather(*(process.stop() for process in processes))
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


def _checked_process(server: VllmServer, how: LaunchOptions) -> SupervisedProcess:
    """Return the process of a server, not yet started. Raises ConfigError: its port is taken, or its key is not set."""
    try:
        checked_port(server.port)
    except PortTaken as error:
        raise ConfigError(
            f"port {server.port}: cannot be listened on: {error.reason}. Is a server running there?"
        ) from error
    log_path = how.log_folder / f"{server.label}.log"
    return SupervisedProcess(
        server.label,
        server.argv,
        probe=lambda: _until_healthy(server.url),
        env=_child_environment(server, how.environment),
        ready_within_s=how.ready_within_s,
        options=ProcessOptions(
            inherits_environment=False,
            log_path=log_path,
            whole_group=True,
            patience_s=how.grace_s,
            restarts=how.restarts,
            observer=_ServerObserver(server, how, log_path),
        ),
    )


async def _until_healthy(url: str) -> None:
    """Return once the server at `url` says that it is well."""
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with session.get(f"{url}/health") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(_POLL_S)


class _ServerObserver(ProcessObserver):
    """Warms one server up when it answers, and says what becomes of it, with the end of its log."""

    def __init__(self, server: VllmServer, how: LaunchOptions, log_path: Path) -> None:
        super().__init__(server.label)
        self._server = server
        self._how = how
        self._log = log_path

    def on_launch(self) -> None:
        self._say(f"starting for {', '.join(self._server.arms)} (log: {self._log})")

    async def on_ready(self, seconds: float) -> None:
        answered = time.monotonic()
        await self._warm_up()
        self._say(f"ready in {seconds:.1f} s, warmed up in {time.monotonic() - answered:.1f} s")

    def on_death(self, code: int, delay_s: float | None) -> None:
        if delay_s is None:
            self._say(f"died ({_cause(code)}) too often, staying down. Its log ends:\n{_tail(self._log)}")
        else:
            self._say(f"died ({_cause(code)}), restarting in {delay_s:g} s")

    def on_failed_restart(self, error: ProcessFailed) -> None:
        self._say(f"did not come back: {error}")

    def launch_error(self, code: int | None, within_s: float) -> LaunchError:
        what = f"did not answer /health within {within_s:g} s"
        if code is not None:
            what = f"ended while starting ({_cause(code)})"
        return LaunchError(f"{self._server.label} {what}. Its log ({self._log}) ends:\n{_tail(self._log)}")

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

    def _say(self, text: str) -> None:
        self._how.echo(f"{self._server.label}: {text}")


def _child_environment(server: VllmServer, environment: Mapping[str, str]) -> dict[str, str]:
    key: dict[str, str] = {}
    if server.api_key_env:
        if server.api_key_env not in environment:
            raise ConfigError(f"{server.label}: its arms name the key {server.api_key_env}, which is not set.")
        key = {"VLLM_API_KEY": environment[server.api_key_env]}
    return {**environment, **key, **server.env}


def _cause(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _tail(log: Path, lines: int = 20) -> str:
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 16_384))
        text = file.read().decode("utf-8", errors="replace")
    return "\n".join(f"  | {line}" for line in text.splitlines()[-lines:])
