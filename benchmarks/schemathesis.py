"""Schemathesis on the router's own OpenAPI document: no answer may be a 5xx.

    make schemathesis          (or: python -m benchmarks.schemathesis [--command st] [--examples 300] [--checks ...])

A router with an embedded Valkey and a model server that always answers, each in a process of its own; Schemathesis
(its own virtual environment, .venv-schemathesis) asks every operation of /openapi.json with bodies, paths and headers
that follow the document and with some that do not. Exits with what Schemathesis exits with.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import yaml

from benchmarks.overhead import answers
from highwayman.serving.processes.supervised_process import SupervisedProcess, checked_port

# Whether what follows the document is taken cannot be checked: a decision that exists cannot be made up.
_CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance"


async def run(arguments: argparse.Namespace) -> int:
    """Start the model server and the router, let Schemathesis at it, stop them; return its exit code."""
    upstream_port, router_port = checked_port(0), checked_port(0)
    upstream, router = f"http://127.0.0.1:{upstream_port}", f"http://127.0.0.1:{router_port}"
    price = {"usd_per_mtok_in": 0.1, "usd_per_mtok_out": 0.1, "context_window_tokens": 10**9, "tools": True}
    modalities = ["text", "image", "audio", "video", "file"]
    arms = {name: {"endpoint": upstream, "model": "m", "modalities": modalities, **price} for name in ("a", "b")}
    with tempfile.TemporaryDirectory() as folder:
        pool, config = Path(folder) / "pool.yaml", Path(folder) / "highwayman.yaml"
        pool.write_text(yaml.safe_dump({"arms": arms}))
        config.write_text(yaml.safe_dump({"feedback": {"posts_per_s": 1e6}}))
        words = ["serve", f"--pool={pool}", f"--port={router_port}", f"--state-dir={folder}", f"--config={config}"]
        servers = [
            SupervisedProcess(
                "upstream",
                [sys.executable, "-m", "benchmarks.bodies", "--serve-upstream", str(upstream_port)],
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
            process = await asyncio.create_subprocess_exec(
                *(arguments.command, "run", f"{router}/openapi.json", "--checks", arguments.checks),
                *("--max-examples", str(arguments.examples), "--seed", "14", "--continue-on-failure"),
                *("--phases", "examples,coverage,fuzzing", "--suppress-health-check", "all", "--warnings", "off"),
                cwd=folder,
            )
            return await process.wait()
        finally:
            for server in reversed(servers):
                await server.stop()


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default="st", help="Schemathesis, 4.32 or newer")
    parser.add_argument("--examples", type=int, default=300, help="for each operation")
    parser.add_argument("--checks", default=_CHECKS)
    raise SystemExit(asyncio.run(run(parser.parse_args())))


if __name__ == "__main__":
    main()
