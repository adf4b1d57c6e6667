"""Starts an upstream and the peers that are installed, each on its cores, and asks one of them at a time."""

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from benchmarks.overhead import answers
from benchmarks.proxies.cores import Placement, on_cores
from benchmarks.proxies.load import Load, Setting, Target
from benchmarks.proxies.peer import Launch, NotInstalled, Peer, Site
from benchmarks.proxies.process_tree import cpu_s, rss_bytes, taken_s
from benchmarks.proxies.prompts import prompts
from highwayman.serving.processes.supervised_process import (
    ProcessFailed,
    ProcessOptions,
    SupervisedProcess,
    checked_port,
)

DIRECT = "direct"
_READY_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What one burst took."""

    requests: int  # answered whole
    errors: int
    wall_s: float  # from the first request to the last answer
    window_s: float  # in which CPU was counted; some longer, as what is put off until after the answer belongs to it
    latency_s: float  # median
    cpu_s: float  # of the peer's processes
    busiest_s: float  # of that, the busiest process'
    client_cpu_s: float
    upstream_cpu_s: float


@dataclass(frozen=True, slots=True)
class _Running:
    process: SupervisedProcess
    target: Target


class Arena:
    """Upstream and peers, while they run."""

    def __init__(self, cores: Placement, *, venvs: Sequence[Path] = (), settle_s: float = 0.3) -> None:
        """Take the cores, where peers may be installed, and how long after a burst its CPU is still counted."""
        self._cores, self._venvs, self._settle_s = cores, venvs, settle_s
        self._peers: dict[str, _Running] = {}
        self.missing: dict[str, str] = {}  # peers, and why they are not measured
        self._texts = prompts(seed=0)
        self._stack = contextlib.AsyncExitStack()

    @property
    def names(self) -> list[str]:
        """Those that can be asked, the upstream itself first."""
        return [DIRECT, *self._peers]

    async def __aenter__(self) -> "Arena":
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="proxies-")))
        self._stack.enter_context(on_cores(self._cores.client))
        port = checked_port(0)
        self._upstream = Target(port, "/v1/chat/completions", "m")
        argv = [sys.executable, "-m", "benchmarks.proxies.mock_upstream", str(port)]
        self._upstream_process = SupervisedProcess(
            "upstream", argv, probe=lambda: answers(f"http://127.0.0.1:{port}/health")
        )
        await self._start(self._upstream_process, self._cores.upstream)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def add(self, peer: Peer, *, cores: frozenset[int] | None = None) -> None:
        """Start a peer, on one core unless told otherwise; or note why it cannot be."""
        folder = self._folder / str(len(self._peers) + len(self.missing))
        folder.mkdir()
        site = Site(checked_port(0), f"http://127.0.0.1:{self._upstream.port}", folder, self._venvs)
        try:
            launch = peer.launch(site)
            process = SupervisedProcess(
                peer.name,
                launch.argv,
                probe=lambda: _ready(launch, site),
                env=launch.env,
                ready_within_s=_READY_WITHIN_S,
                options=ProcessOptions(log_path=folder / "output", whole_group=True),
            )
            await self._start(process, cores or self._cores.proxy)
        except NotInstalled as reason:
            self.missing[peer.name] = str(reason)
        except ProcessFailed as reason:
            last = (folder / "output").read_text(errors="replace").strip().splitlines()[-1:]
            self.missing[peer.name] = " ".join([str(reason), *last])
        else:
            self._peers[peer.name] = _Running(process, Target(_port(launch, site), launch.path, launch.model))

    async def ask(self, name: str, setting: Setting, seconds: float) -> Sample:
        """Ask the upstream or a peer for so long; return what it took."""
        running = self._peers.get(name)
        target = running.target if running else self._upstream
        load = Load(target, setting, self._texts)
        await load.open()
        try:
            before, upstream = cpu_s(running.process.pid) if running else {}, self._upstream_cpu_s()
            client, began = time.process_time(), time.perf_counter()
            await load.ask(seconds)
            client = time.process_time() - client
            await asyncio.sleep(self._settle_s)
            window_s = time.perf_counter() - began
            by_process = taken_s(before, cpu_s(running.process.pid)) if running else {}
        finally:
            load.close()
        latencies = sorted(load.burst.latencies_s)
        return Sample(
            requests=len(latencies),
            errors=load.burst.errors,
            wall_s=load.burst.wall_s,
            window_s=window_s,
            latency_s=latencies[len(latencies) // 2] if latencies else float("nan"),
            cpu_s=sum(by_process.values()),
            busiest_s=max(by_process.values(), default=0.0),
            client_cpu_s=client,
            upstream_cpu_s=self._upstream_cpu_s() - upstream,
        )

    async def idle_shares(self, seconds: float) -> dict[str, float]:
        """Return the share of a core that each peer takes while nobody asks anything of any."""
        roots = {name: running.process.pid for name, running in self._peers.items()}
        before = {name: cpu_s(root) for name, root in roots.items()}
        await asyncio.sleep(seconds)
        return {name: sum(taken_s(before[name], cpu_s(root)).values()) / seconds for name, root in roots.items()}

    def rss_bytes(self, name: str) -> int:
        """Return the resident memory of a peer's largest process."""
        return rss_bytes(self._peers[name].process.pid)

    def _upstream_cpu_s(self) -> float:
        return sum(cpu_s(self._upstream_process.pid).values())

    async def _start(self, process: SupervisedProcess, cores: frozenset[int]) -> None:
        with on_cores(cores):
            await process.launch()
        self._stack.push_async_callback(process.stop)


def _port(launch: Launch, site: Site) -> int:
    """Return the port a peer listens on. Raises OSError as long as it has not said so."""
    if launch.port_file is None:
        return site.port
    text = launch.port_file.read_text()
    if not text:
        raise FileNotFoundError(f"{launch.port_file} is empty")
    return int(text)


async def _ready(launch: Launch, site: Site) -> None:
    """Return once a peer can be asked. Raises StoreUnavailable or OSError as long as it cannot."""
    port = _port(launch, site)
    if launch.ready is not None:
        await answers(f"http://127.0.0.1:{port}{launch.ready}")


def settings(clients: Sequence[int]) -> Iterator[Setting]:
    """Yield plain and streamed, for each number of clients."""
    for stream in (False, True):
        for count in clients:
            yield Setting(stream, count)
