"""What a request costs: beside other proxies, and beside another revision.

    python -m benchmarks proxies [--quick] [--venv DIR ...]
    python -m benchmarks compare REVISION REVISION [--quick]

`proxies` starts a mock upstream, this router and whatever peers it can find (nginx, vllm-router, TensorZero, LiteLLM; a
pass-through of FastAPI and aiohttp is always there), each on a core of its own where there are four, and asks them in
turn. `compare` does it for two revisions, or folders (`.` is the work tree as it is). Printed is the CPU time of a
request, all processes of a peer together (the router's Valkey too), as ratios within a round. Exits with 1 if a request
to the router failed.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import uvloop

from benchmarks.proxies.cores import on_cores, placement
from benchmarks.proxies.report import put_into
from benchmarks.proxies.side_by_side import Effort, beside_each_other, beside_proxies
from benchmarks.proxies.source_trees import source_tree

_QUICK = {"rounds": 2, "seconds": 0.2, "clients": [1, 64]}


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.quick:
        vars(arguments).update(_QUICK)
    effort = Effort(arguments.rounds, arguments.seconds, arguments.clients, arguments.arms, arguments.venv)
    cores = placement()
    with on_cores(cores.client), tempfile.TemporaryDirectory(prefix="trees-") as folder:
        if arguments.command == "compare":
            try:
                trees = [source_tree(revision, Path(folder) / str(k)) for k, revision in enumerate(arguments.revisions)]
            except ValueError as error:
                parser.error(str(error))
            text, errors = uvloop.run(beside_each_other(trees, cores, effort))
        else:
            text, errors = uvloop.run(beside_proxies(cores, effort))
    print(text, end="")
    if arguments.into:
        put_into(arguments.into, arguments.prompt, text)
    if errors:
        sys.exit(f"{errors} requests failed")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    proxies = commands.add_parser("proxies", help="beside other proxies")
    proxies.set_defaults(prompt="make bench")
    compare = commands.add_parser("compare", help="two revisions")
    compare.set_defaults(prompt="python -m benchmarks compare", venv=())
    compare.add_argument("revisions", nargs=2, metavar="REVISION", help="or a folder")
    proxies.add_argument("--venv", type=Path, action="append", default=[], help="where peers may be installed")
    for command in (proxies, compare):
        command.add_argument("--quick", action="store_true", help="under a minute; only shows that it works")
        command.add_argument("--rounds", type=int, default=5)
        command.add_argument("--seconds", type=float, default=1.0, help="of a burst")
        command.add_argument("--clients", type=int, nargs="+", default=[1, 16, 64])
        command.add_argument("--arms", type=int, default=8)
    proxies.add_argument("--into", type=Path, help="a page whose block of console is to have what is printed")
    compare.set_defaults(into=None)
    return parser


if __name__ == "__main__":
    main()
