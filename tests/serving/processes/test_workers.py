"""`highwayman serve --workers 2` as a user runs it: real processes, one of them killed without warning."""

import asyncio
import os
import re
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, run
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from highwayman.serving.cli.main import main
from highwayman.serving.telemetry.families import FAMILIES, MADE_AT_SCRAPE, OLD_NAMES
from tests.ports import free_port
from tests.upstream_server import ANY, Say, ScriptedUpstream

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads Linux's /proc"),
]

WITHIN_S = 50.0
KNOWN = {family.name for family in (*FAMILIES, *MADE_AT_SCRAPE)} | {*OLD_NAMES.values()}  # of metrics
ASKED = {"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France?"}]}


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker, spoken to through its own door."""

    pid: int
    argv: tuple[str, ...]

    def option(self, name: str) -> str:
        return next(word.partition("=")[2] for word in self.argv if word.startswith(f"{name}="))

    def http(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession("http://worker", connector=aiohttp.UnixConnector(self.option("--door")))

    async def ready(self) -> bool:
        async with self.http() as http:
            try:
                async with http.get("/readyz") as response:
                    return response.status == 200
            except aiohttp.ClientError:
                return False

    async def ask(self) -> str:
        """The id of a decision of this worker's, once it has counted it."""
        async with self.http() as http:
            async with http.post("/v1/chat/completions", json=ASKED) as response:
                assert response.status == 200
                made = response.headers["x-highwayman-decision"]
            async with asyncio.timeout(10):
                while (await self.get(f"/v1/decisions/{made}")).get("outcome") is None:
                    await asyncio.sleep(0.01)
        return made

    async def get(self, path: str) -> dict[str, Any]:
        async with self.http() as http, http.get(path) as response:
            return dict(await response.json())

    async def counted(self, name: str = "highwayman_requests_total") -> float:
        """What /metrics says, summed over the labels."""
        async with self.http() as http, http.get("/metrics") as response:
            families = text_string_to_metric_families(await response.text())
            return sum(sample.value for family in families for sample in family.samples if sample.name == name)

    def connections(self, port: int) -> int:
        """How many clients of the port are connected to this process."""
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        served = {f"socket:[{row[9]}]" for row in rows if row[3] == "01" and int(row[1].split(":")[1], 16) == port}
        return sum(target(path) in served for path in Path(f"/proc/{self.pid}/fd").iterdir())


@dataclass(frozen=True, slots=True)
class Serving:
    """A running `highwayman serve --workers 2`."""

    process: "Popen[bytes]"
    port: int
    upstream: ScriptedUpstream

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def children(self) -> list[int]:
        pid = self.process.pid
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))

    async def workers(self, *, but: int = 0) -> list[Worker]:
        """Both workers, as soon as two are ready that are not this process."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                assert self.process.poll() is None, "highwayman serve ended"
                found = [Worker(pid, argv(pid)) for pid in self.children()]
                found = [one for one in found if one.pid != but and "--door" in str(one.argv)]
                if len(found) == 2 and all([await worker.ready() for worker in found]):
                    return sorted(found, key=lambda one: one.option("--door"))
                await asyncio.sleep(0.05)


def target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # closed since it was listed
        return ""


def argv(pid: int) -> tuple[str, ...]:
    try:
        return tuple(Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0"))
    except FileNotFoundError:
        return ()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def command(folder: Path, upstream_url: str, port: int) -> list[str]:
    (folder / "highwayman.yaml").write_text(f"namespace: test-{uuid4().hex}\n")
    arm = f"{{endpoint: '{upstream_url}', model: m, price: unknown, context_window_tokens: 4096}}"
    (folder / "pool.yaml").write_text(f"arms:\n  a: {arm}\n  b: {arm}\n")
    options = [f"--config={folder}/highwayman.yaml", f"--pool={folder}/pool.yaml", f"--state-dir={folder}"]
    return [sys.executable, "-m", "highwayman.serving.cli.main", "serve", f"--port={port}", "--workers=2", *options]


def start(words: list[str], redis_url: str | None) -> "Popen[bytes]":
    environment = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    if redis_url is not None:
        environment["REDIS_URL"] = redis_url
    return Popen(words, stdout=DEVNULL, stderr=DEVNULL, env=environment)


@asynccontextmanager
async def serving(*options: str, redis_url: str | None) -> AsyncIterator[Serving]:
    async with ScriptedUpstream() as upstream:
        with tempfile.TemporaryDirectory() as folder:
            port = free_port()
            process = start([*command(Path(folder), upstream.url, port), *options], redis_url)
            try:
                yield Serving(process, port, upstream)
            finally:
                process.terminate()
                await asyncio.to_thread(process.wait, 30)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two(valkey_url: str) -> AsyncIterator[Serving]:
    async with serving("--seed=5", "--no-learn", redis_url=valkey_url) as running:
        yield running


@asynccontextmanager
async def held(two: Serving, requests: int) -> AsyncIterator[None]:
    """So many requests at once, each on a connection of its own, are under way in the block and answered after it."""
    release, before = asyncio.Event(), len(two.upstream.requests)
    two.upstream.script(ANY, Say(before=release))
    async with aiohttp.ClientSession(two.url) as http:
        asked = [asyncio.ensure_future(http.post("/v1/chat/completions", json=ASKED)) for _ in range(requests)]
        await two.upstream.asked(before + requests)
        yield
        release.set()
        assert all([(await one).status == 200 for one in asked])
    two.upstream.script(ANY, Say())


@asynccontextmanager
async def under_load(two: Serving, *, clients: int) -> AsyncIterator[list[int]]:
    """Clients that ask one thing after another until the block ends; yields who lost a request, once per request."""
    lost: list[int] = []
    answered = [asyncio.Event() for _ in range(clients)]
    over = asyncio.Event()

    async def client(number: int) -> None:
        async with aiohttp.ClientSession(two.url) as http:
            while not over.is_set():
                try:
                    async with http.post("/v1/chat/completions", json=ASKED) as response:
                        assert response.status == 200
                    answered[number].set()
                except aiohttp.ClientError:
                    lost.append(number)
                await asyncio.sleep(0.02)  # leaves the machine something to start a worker with

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(number))
        for event in answered:
            await event.wait()
        yield lost
        for event in answered:  # and each of them is answered after all that happened in the block
            event.clear()
            await event.wait()
        over.set()


async def refused(port: int) -> None:
    """Return once nobody listens on the port."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return
        writer.close()
        await asyncio.sleep(0.02)


async def test_each_worker_is_handed_the_options_and_a_seed_of_its_own(two: Serving) -> None:
    workers = await two.workers()
    assert [worker.option("--seed") for worker in workers] == ["5", "6"]
    for worker in workers:
        assert "--no-learn" in worker.argv
        assert Path(worker.option("--config")).name == "highwayman.yaml"
        assert worker.option("--port") == str(two.port)


async def test_the_connections_of_one_client_spread_over_both_workers(two: Serving) -> None:
    one, other = await two.workers()
    async with held(two, 32):
        share = [one.connections(two.port), other.connections(two.port)]
    assert sum(share) == 32
    assert min(share) >= 4, share  # a fair coin gives less once in 100,000 times


async def test_feedback_to_one_worker_about_a_decision_of_the_other_is_taken_at_once(two: Serving) -> None:
    one, other = await two.workers()
    made = await one.ask()
    said = {"decision_id": made, "value": True}
    async with other.http() as http, http.post("/v1/feedback", json=said) as response:
        assert (response.status, (await response.json())["state"]) == (200, "logged")
    assert len((await one.get(f"/v1/decisions/{made}"))["feedback"]) == 1


async def test_a_scrape_of_either_worker_reports_the_sum_over_both(two: Serving) -> None:
    one, other = await two.workers()
    before = await one.counted()
    for worker in (one, other, other):
        await worker.ask()
    assert await one.counted() == await other.counted() == before + 3
    assert await one.counted("highwayman_latency_seconds_count") == before + 3


async def test_a_scrape_of_two_workers_shows_each_metric_once_and_nobody_under_way(two: Serving) -> None:
    workers = await two.workers()
    async with workers[0].http() as http, http.get("/metrics") as response:
        names = re.findall(r"^# TYPE (\S+) ", await response.text(), re.MULTILINE)
    assert len(names) == len(set(names)) > len(FAMILIES) / 2
    assert {name.removesuffix("_total") for name in names} <= KNOWN
    assert await workers[1].counted("highwayman_requests_in_flight") == 0
    assert await workers[1].counted("highwayman_config_last_reload_successful") == 1


async def test_a_hangup_has_both_workers_read_the_pool_again_and_ends_none_of_them(two: Serving) -> None:
    workers = await two.workers()
    pool = Path(workers[0].option("--pool"))
    pool.write_text(pool.read_text().replace("price: unknown", "usd_per_mtok_in: 1.5, usd_per_mtok_out: 1.5", 1))
    os.kill(two.process.pid, signal.SIGHUP)
    async with asyncio.timeout(WITHIN_S):
        for worker in workers:
            while "usd_per_mtok_in" not in (await worker.get("/v1/admin/pool"))["arms"]["a"]:
                await asyncio.sleep(0.02)
    assert [worker.pid for worker in await two.workers()] == [worker.pid for worker in workers]


async def test_the_version_shown_is_the_oldest_of_living_workers_and_a_restarted_one_counts_on(tmp_path: Path) -> None:
    program = """
from pathlib import Path; import sys
from highwayman.serving.metrics import Metrics, adopt_worker_metrics, drop_live_gauges
for worker, version in ("0", 7), ("1", 5), ("0", 8):
    adopt_worker_metrics(worker)
    metrics = Metrics()
    metrics.on_version(version, 0.5)
    metrics.refused.labels("code").inc()
print(metrics.exposition().decode())
drop_live_gauges("1", Path(sys.argv[1]))
print(metrics.exposition().decode())
"""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    words = [sys.executable, "-c", program, str(tmp_path)]
    said = await asyncio.to_thread(run, words, stdout=PIPE, env=environment, timeout=30, check=True)
    lines = [
        line for line in said.stdout.decode().splitlines() if line.startswith(("highwayman_policy_v", "highwayman_ref"))
    ]
    assert [line.split()[-1] for line in sorted(lines)] == ["5.0", "8.0", "3.0", "3.0"]
    assert len(list(tmp_path.glob("counter_*.db"))) == 2


async def test_a_challenger_sent_back_has_no_share_in_the_metrics_of_several_workers(tmp_path: Path) -> None:
    program = """
from highwayman.feedback.tournament.ramp import Ramp
from highwayman.serving.metrics import Metrics, adopt_worker_metrics
for worker in "01":
    adopt_worker_metrics(worker)
    metrics = Metrics()
    metrics.on_ramp(Ramp(challenger="bold", share=0.25))
    metrics.on_ramp(Ramp())
print(metrics.exposition().decode())
"""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    words = [sys.executable, "-W", "error", "-c", program]
    said = await asyncio.to_thread(run, words, stdout=PIPE, env=environment, timeout=30, check=True)
    shares = [line for line in said.stdout.decode().splitlines() if line.startswith("highwayman_challenger_share")]
    assert shares == ['highwayman_challenger_share{challenger="bold"} 0.0']


async def test_a_killed_worker_loses_at_most_what_it_was_answering_and_comes_back(two: Serving) -> None:
    workers = await two.workers()
    async with under_load(two, clients=8) as lost:
        victim, survivor = sorted(workers, key=lambda worker: -worker.connections(two.port))
        answering = victim.connections(two.port)
        os.kill(victim.pid, signal.SIGKILL)
        assert survivor.pid in [worker.pid for worker in await two.workers(but=victim.pid)]
    assert 1 <= answering <= 8
    assert len(lost) <= answering
    assert len(lost) == len(set(lost)), "a client lost more than the request that was under way"


async def test_while_a_worker_is_down_its_connections_are_carried_to_the_other_and_its_counts_stay(
    two: Serving,
) -> None:
    one, other = await two.workers()
    for worker in (one, other):
        await worker.ask()
    before = await other.counted()
    os.kill(one.pid, signal.SIGKILL)
    async with held(two, 16):
        carried = Worker(two.process.pid, ()).connections(two.port)
        assert carried >= 1  # none with a fair coin: once in 65,000 times
        assert carried + other.connections(two.port) == 16
    await other.ask()  # behind the others: they are counted
    assert await other.counted() == before + 17

    again = next(worker for worker in await two.workers(but=one.pid) if worker.pid != other.pid)
    assert await again.counted() == before + 17
    await again.ask()
    assert await again.counted() == await other.counted() == before + 18


async def test_sigterm_lets_the_requests_under_way_end_and_leaves_no_process() -> None:
    async with serving(redis_url=None) as running:
        await running.workers()
        pids = running.children()
        assert len(pids) == 3, "two workers and Valkey"
        async with held(running, 4):
            running.process.terminate()
            async with asyncio.timeout(10):
                await refused(running.port)
        assert await asyncio.to_thread(running.process.wait, 10) == 0
        async with asyncio.timeout(10):
            while any(map(alive, pids)):
                await asyncio.sleep(0.02)


async def test_a_taken_port_is_told_in_a_line_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as owner:
        port = owner.getsockname()[1]
        words = command(tmp_path, "http://127.0.0.1:9", port)
        ended = await asyncio.to_thread(run, words, stdout=PIPE, stderr=PIPE, timeout=30, check=False)
    assert ended.returncode == 1
    assert ended.stderr.decode().splitlines() == [
        f"Error: port {port} on 127.0.0.1 cannot be had (Address already in use); give another"
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["highwayman.yaml", "pool.yaml"]


async def test_no_workers_are_refused() -> None:
    result = CliRunner().invoke(main, ["serve", "--workers", "0"])
    assert result.exit_code == 2
    assert "--workers" in result.output
