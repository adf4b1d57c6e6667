"""A router with an embedded Valkey, and its model server, each in a process of its own."""

import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.overhead import answers
from highwayman.serving.processes.supervised_process import SupervisedProcess, checked_port

_ARM = {"usd_per_mtok_in": 0.1, "usd_per_mtok_out": 0.1, "context_window_tokens": 10**9}


@dataclass(frozen=True, slots=True)
class Running:
    """Where the router is."""

    url: str
    pid: int
    folder: str  # of its state; gone afterwards


@contextlib.asynccontextmanager
async def running(
    module: str, arms: Mapping[str, Mapping[str, Any]], config: Mapping[str, Any] | None = None
) -> AsyncIterator[Running]:
    """Serve until the block ends.

    Args:
        module: whose `--serve-upstream PORT` is the model server.
        arms: by name, what an arm has beside a price, a large window, its name as model, and the server as endpoint.
        config: of the router.
    """
    upstream_port, router_port = checked_port(0), checked_port(0)  # free ones: nobody else's router is to be met
    upstream, router = f"http://127.0.0.1:{upstream_port}", f"http://127.0.0.1:{router_port}"
    entries = {name: {"endpoint": upstream, "model": name, **_ARM, **arm} for name, arm in arms.items()}
    with tempfile.TemporaryDirectory() as folder:
        pool, settings = Path(folder) / "pool.yaml", Path(folder) / "highwayman.yaml"
        pool.write_text(yaml.safe_dump({"arms": entries}))
        settings.write_text(yaml.safe_dump(dict(config or {})))
        words = ["serve", f"--pool={pool}", f"--port={router_port}", f"--state-dir={folder}", f"--config={settings}"]
        servers = [
            SupervisedProcess(
                "upstream",
                [sys.executable, "-m", module, "--serve-upstream", str(upstream_port)],
                probe=lambda: answers(f"{upstream}/health"),
            ),
            SupervisedProcess(
                "router",
                [sys.executable, "-m", "highwayman.serving.cli.main", *words],
                probe=lambda: answers(f"{router}/readyz"),
            ),
        ]
        try:
            for server in servers:
                await server.start()
            yield Running(router, servers[1].pid, folder)
        finally:
            for server in reversed(servers):
                await server.stop()
