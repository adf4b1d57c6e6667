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
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from highwayman.env.errors import HighwaymanError
from highwayman.env.tasks import cancel_and_wait
from highwayman.serving.processes import die_with_parent
from highwayman.serving.processes.restart_policy import KEEP_TRYING, RestartPolicy

log = logging.getLogger(__name__)


class ProcessFailed(HighwaymanError):
    """A child process ended, or did not become ready in time."""


class PortTaken(ProcessFailed):
    """A port cannot be listened on."""

    def __init__(self, port: int, host: str, reason: str) -> None:
        """Take the port, and why the system refuses it."""
        super().__init__(f"port {port} on {host} cannot be had ({reason}); give another")
        self.reason = reason


class ProcessObserver:
    """Follows one process; this one writes its deaths to the log."""

    def __init__(self, name: str) -> None:
        """Take the name that messages call the process by."""
        self._name = name

    def on_launch(self) -> None:
        """The process is about to be started."""

    async def on_ready(self, seconds: float) -> None:
        """It answers, so many seconds after its launch; it counts as up once this returns."""

    def on_death(self, code: int, delay_s: float | None) -> None:
        """It ended by itself, and starts again after so many seconds; None: it stays down."""
        what = "staying down" if delay_s is None else f"starting it again in {delay_s:.1f} s"
        log.warning("%s ended (%s); %s", self._name, _ending(code), what)

    def on_failed_restart(self, error: ProcessFailed) -> None:
        """It did not come back, and has ended by now."""
        log.error("%s", error)

    def launch_error(self, code: int | None, within_s: float) -> ProcessFailed:
        """Return the error for a process that ended before it answered; code None: it did not answer in time."""
        return ProcessFailed(f"{self._name} {'did not answer in time' if code is None else f'ended ({_ending(code)})'}")


@dataclass(frozen=True, slots=True)
class ProcessOptions:
    """How a process is run and kept up, where that is not as most are."""

    inherits_environment: bool = True  # whether it has our variables, too
    log_path: Path | None = None  # where its output is appended; without one it goes to ours
    whole_group: bool = False  # whether what it started ends with it
    patience_s: float = 10.0  # from asking it to end to killing it
    restarts: RestartPolicy = KEEP_TRYING
    observer: ProcessObserver | None = None  # None: one that writes to the log


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
        on_state_change: Callable[[bool], None] = lambda _: None,
        options: ProcessOptions | None = None,
    ) -> None:
        """Describe the process.

        Args:
            name: for messages.
            argv: its program and arguments.
            probe: returns once it answers; may raise OSError or HighwaymanError as long as it does not.
            env: variables beside our own.
            keep_open: descriptors it inherits.
            ready_within_s: how long it may take to answer.
            on_state_change: called with True whenever it answers after a start, False whenever it has ended by itself.
            options: what is unlike most processes.
        """
        self._name = name
        self._options = options or ProcessOptions()
        self._observer = self._options.observer or ProcessObserver(name)
        wrapper = [sys.executable, "-I", str(Path(die_with_parent.__file__)), str(os.getpid())]
        self._argv = [*wrapper, *argv]
        self._probe = probe
        self._env = {**(os.environ if self._options.inherits_environment else {}), **(env or {})}
        self._keep_open = tuple(keep_open)
        self._ready_within_s = ready_within_s
        self._on_state_change = on_state_change
        self.restarts = 0  # how often it died and was started again
        self._process: asyncio.subprocess.Process | None = None
        self._told_to_end: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self.is_up = False  # whether it has answered since its last start, and has not ended by itself

    @property
    def pid(self) -> int:
        """The process id of the process that runs now. Raises ProcessFailed before `start`."""
        if self._process is None:
            raise ProcessFailed(f"{self._name} was not started")
        return self._process.pid

    async def start(self) -> None:
        """Start the process, return once it answers, and keep it up from then on. Raises ProcessFailed."""
        await self.launch()
        self._keeper = asyncio.create_task(self.keep_up(), name=f"keep {self._name}")

    async def stop(self) -> None:
        """Ask the process to end, kill it when it does not, and wait until it is gone."""
        if self._keeper is not None:
            await cancel_and_wait(self._keeper)
        await self._end_process()

    def terminate(self) -> None:
        """Ask the process to end, without waiting: once more, where it takes its time. Harmless once it is gone."""
        if self._process is not None and self._process.returncode is None:
            self._signal(signal.SIGTERM)

    def hang_up(self) -> None:
        """Have the process read its files again; one that has not answered yet reads them anyway."""
        if self.is_up:
            self._signal(signal.SIGHUP)

    async def launch(self) -> None:
        """Start the process, and return once it answers; nobody keeps it up. Raises ProcessFailed once it has ended."""
        self._observer.on_launch()
        clock = asyncio.get_running_loop().time
        began = clock()
        process = self._process = await self._spawn()
        try:
            await self._until_ready(process)
        except BaseException:
            await self._end_process()
            raise
        await self._observer.on_ready(clock() - began)
        self._tell_state(is_up=True)

    async def keep_up(self) -> None:
        """Start the process again each time it ends by itself; return when that has been too often."""
        deaths: list[float] = []
        while self._process is not None:
            code = await self._process.wait()
            deaths.append(asyncio.get_running_loop().time())
            delay_s = self._options.restarts.delay_s(deaths, deaths[-1])
            self._tell_state(is_up=False)
            self._observer.on_death(code, delay_s)
            if delay_s is None:
                return
            if self._options.whole_group:
                self._signal(signal.SIGKILL)  # what it left behind holds its memory
            await asyncio.sleep(delay_s)
            if await self._came_back() and self._options.restarts.forgives:
                deaths.clear()

    def _tell_state(self, *, is_up: bool) -> None:
        self.is_up = is_up
        self._on_state_change(is_up)

    async def _came_back(self) -> bool:
        try:
            await self.launch()
        except ProcessFailed as error:
            self._observer.on_failed_restart(error)
            return False
        self.restarts += 1
        return True

    async def _spawn(self) -> asyncio.subprocess.Process:
        with self._output() as output:
            return await asyncio.create_subprocess_exec(
                *self._argv,
                env=self._env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=self._keep_open,
                start_new_session=True,  # Ctrl-C in the terminal is for us; we then stop our children in order
            )

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        """Return once the process answers.

        Raises ProcessFailed: it ended before, did not answer in time, or looking at it failed in a way of its own.
        """
        ended = asyncio.ensure_future(process.wait())
        ready = asyncio.ensure_future(self._keep_probing())
        ends: set[asyncio.Future[Any]] = {ended, ready}
        try:
            await asyncio.wait(ends, timeout=self._ready_within_s, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                raise self._observer.launch_error(ended.result() if ended.done() else None, self._ready_within_s)
            error = ready.exception()
            if error is not None:
                raise ProcessFailed(f"{self._name} answered oddly ({type(error).__name__}: {error})") from error
        finally:
            ended.cancel()
            ready.cancel()

    async def _keep_probing(self) -> None:
        while True:
            try:
                return await self._probe()
            except (OSError, HighwaymanError):
                await asyncio.sleep(0.02)  # between two looks; what ends the wait is the answer

    async def _end_process(self) -> None:
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            if self._told_to_end is not process:  # a second time would hurry it: that is for `terminate` to say
                self._told_to_end = process
                self._signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.patience_s):
                    await process.wait()
        if process.returncode is None or self._options.whole_group:
            self._signal(signal.SIGKILL)
        await process.wait()

    def _signal(self, number: signal.Signals) -> None:
        """Send the process a signal, and the rest of its group if that is to end with it, even after it."""
        with contextlib.suppress(ProcessLookupError):
            if self._options.whole_group:
                os.killpg(self.pid, number)
            elif self._process is not None:
                self._process.send_signal(number)

    def _output(self) -> AbstractContextManager[IO[bytes] | None]:
        log_path = self._options.log_path
        return contextlib.nullcontext() if log_path is None else log_path.open("ab")


def checked_port(port: int, *, host: str = "127.0.0.1") -> int:
    """Return `port`, or a free one for 0. Raises PortTaken if it is: its owner would answer for our child."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTaken(port, host, str(error.strerror)) from error
        return int(probe.getsockname()[1])


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
