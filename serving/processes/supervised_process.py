"""A child process that is started again whenever it ends, and dies with us however we die."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

from highwayman.env.errors import HighwaymanError
from highwayman.env.tasks import cancel_and_wait
from highwayman.serving.processes import die_with_parent

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 10.0
_PATIENCE_S = 10.0  # from asking a process to end to killing it

log = logging.getLogger(__name__)


class ProcessFailed(HighwaymanError):
    """A child process ended, or did not become ready in time."""


class SupervisedProcess:
    """One kept process. Start it from the main thread: Linux ends it when the thread that started it ends."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        probe: Callable[[], Awaitable[None]],
        env: Mapping[str, str] | None = None,
        keep_open: Sequence[int] = (),
        ready_within_s: float = 60.0,
        log_path: Path | None = None,
        on_state_change: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """Describe the process.

        Args:
            name: for messages.
            argv: its program and arguments.
            ready: returns once it answers; may raise OSError or HighwaymanError as long as it does not.
            env: variables beside our own.
            keep_open: descriptors it inherits.
            ready_within_s: how long it may take to answer.
            log_path: where its output is appended; without one it goes to ours.
            tell: called with True whenever it answers after a start, with False whenever it has ended by itself.
        """
        self._name = name
        wrapper = [sys.executable, "-I", str(Path(die_with_parent.__file__)), str(os.getpid())]
        self._argv = [*wrapper, *argv]
        self._probe = probe
        self._env = {**os.environ, **(env or {})}
        self._keep_open = tuple(keep_open)
        self._ready_within_s = ready_within_s
        self._log_path = log_path
        self._on_state_change = on_state_change
        self.restarts = 0  # how often it died and was started again
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The process id of the process that runs now. Raises ProcessFailed before `start`."""
        if self._process is None:
            raise ProcessFailed(f"{self._name} was not started")
        return self._process.pid

    async def start(self) -> None:
        """Start the process, return once it answers, and keep it up from then on. Raises ProcessFailed."""
        await self._launch()
        self._on_state_change(True)
        self._keeper = asyncio.create_task(self._keep_up(), name=f"keep {self._name}")

    async def stop(self, *, patience_s: float = _PATIENCE_S) -> None:
        """Ask the process to end, kill it when it does not, and wait until it is gone."""
        if self._keeper is not None:
            await cancel_and_wait(self._keeper)
        await self._end_process(patience_s)

    async def _end_process(self, patience_s: float) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(patience_s):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _launch(self) -> None:
        with self._output() as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                env=self._env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=self._keep_open,
                start_new_session=True,  # Ctrl-C in the terminal is for us; we then stop our children in order
            )
        ended = asyncio.ensure_future(self._process.wait())
        ready = asyncio.ensure_future(self._until_ready())
        ends: set[asyncio.Future[Any]] = {ended, ready}
        try:
            await asyncio.wait(ends, timeout=self._ready_within_s, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                why = f"ended ({_ending(ended.result())})" if ended.done() else "did not answer in time"
                raise ProcessFailed(f"{self._name} {why}")
        except BaseException:
            await self._end_process(_PATIENCE_S)
            raise
        finally:
            ended.cancel()
            ready.cancel()

    def _output(self) -> AbstractContextManager[IO[bytes] | None]:
        return contextlib.nullcontext() if self._log_path is None else self._log_path.open("ab")

    async def _until_ready(self) -> None:
        while True:
            try:
                return await self._probe()
            except (OSError, HighwaymanError):
                await asyncio.sleep(0.02)  # between two looks; what ends the wait is the answer

    async def _keep_up(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while self._process is not None:
            code = await self._process.wait()
            self._on_state_change(False)
            log.warning("%s ended (%s); starting it again in %.1f s", self._name, _ending(code), pause_s)
            await asyncio.sleep(pause_s)
            try:
                await self._launch()
                self._on_state_change(True)
                self.restarts += 1
                pause_s = _FIRST_PAUSE_S
            except ProcessFailed as error:
                log.error("%s", error)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def checked_port(port: int, *, host: str = "127.0.0.1") -> int:
    """Return `port`, or a free one for 0. Raises ProcessFailed if it is taken: its owner would answer for our child."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ProcessFailed(f"port {port} on {host} cannot be had ({error.strerror}); give another") from error
        return int(probe.getsockname()[1])


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
