"""Fills a namespace with the log of two made-up days, for pages to be looked at and tested.

    python -m benchmarks.filled_log --redis-url redis://127.0.0.1:6379 [--namespace filled] [--decisions 3000]

Five arms of the local pool, two tenants, tags, feedback of five sources, cascades, a control slice, challengers tried,
promoted and rolled back, a price that doubles, an arm that joins and one that gets worse, an outage, a key in
quarantine, two erased requests. The same seed gives the same log up to its end, which is now.

With `--write FOLDER`, `highwayman.yaml` and `pool.yaml` for a router on it are written there; with `--pool-url`, its
arms are at that address.
"""

import argparse
import asyncio
import time
from pathlib import Path

import yaml

from benchmarks.filled_log.filling import Filled, fill
from benchmarks.filled_log.world import World, filled_arms
from highwayman.feedback.log.redis.redis import connect
from highwayman.serving.processes.local_pool import local_pool_yaml


async def filled(arguments: argparse.Namespace) -> Filled:
    """Fill the namespace, and write a router's files where that is asked for."""
    client = connect(arguments.redis_url, timeout_s=30.0)
    try:
        return await fill(
            client,
            arguments.namespace,
            now=time.time(),
            decisions=arguments.decisions,
            seed=arguments.seed,
            world=World(arguments.hours, filled_arms(arguments.pool_url)),
            **({"retention": {"prompts": True}} if arguments.prompts else {}),
        )
    finally:
        await client.aclose()


def main() -> None:
    """Parse the arguments, fill, say what was put there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--redis-url", required=True)
    parser.add_argument("--namespace", default="filled")
    parser.add_argument("--decisions", type=int, default=3_000)
    parser.add_argument("--hours", type=float, default=48.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pool-url", default="http://127.0.0.1:9", help="where the arms are served")
    parser.add_argument(
        "--prompts", action="store_true", help="whether the log keeps prompts, as retention.prompts says"
    )
    parser.add_argument("--write", type=Path, help="a folder for a router's two files")
    arguments = parser.parse_args()
    began = time.perf_counter()
    done = asyncio.run(filled(arguments))
    print(f"{done.events:,} events of {done.decisions:,} decisions in {time.perf_counter() - began:.1f} s")
    if arguments.write is not None:
        config = done.config.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        (arguments.write / "highwayman.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        (arguments.write / "pool.yaml").write_text(local_pool_yaml(arguments.pool_url), encoding="utf-8")


if __name__ == "__main__":
    main()
