"""Schemathesis on the router's own OpenAPI document: no answer may be a 5xx.

    make schemathesis          (or: python -m benchmarks.schemathesis [--command st] [--examples 300] [--checks ...])

A router with an embedded Valkey and a model server that always answers, each in a process of its own; Schemathesis
(its own virtual environment, .venv-schemathesis) asks every operation of /openapi.json with bodies, paths and headers
that follow the document and with some that do not. Exits with what Schemathesis exits with.
"""

import argparse
import asyncio

from benchmarks.running import running

# Whether what follows the document is taken cannot be checked: a decision that exists cannot be made up.
_CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance"


async def run(arguments: argparse.Namespace) -> int:
    """Start the model server and the router, let Schemathesis at it, stop them; return its exit code."""
    arm = {"tools": True, "modalities": ["text", "image", "audio", "video", "file"]}
    config = {"feedback": {"posts_per_s": 1e6}}
    async with running("benchmarks.bodies", {"a": arm, "b": arm}, config) as router:
        process = await asyncio.create_subprocess_exec(
            *(arguments.command, "run", f"{router.url}/openapi.json", "--checks", arguments.checks),
            *("--max-examples", str(arguments.examples), "--seed", "14", "--continue-on-failure"),
            *("--phases", "examples,coverage,fuzzing", "--suppress-health-check", "all", "--warnings", "off"),
            cwd=router.folder,
        )
        return await process.wait()


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default="st", help="Schemathesis, 4.32 or newer")
    parser.add_argument("--examples", type=int, default=300, help="for each operation")
    parser.add_argument("--checks", default=_CHECKS)
    raise SystemExit(asyncio.run(run(parser.parse_args())))


if __name__ == "__main__":
    main()
