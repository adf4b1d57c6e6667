"""Says which class names stand in two rooms; part of `make lint`. A reader should find one class under one name."""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

PACKAGES = ("env", "bandit", "feedback", "pages", "serving", "sims", "demo", "client")


def declared_twice(paths: Iterable[Path]) -> dict[str, list[str]]:
    """Return the class names that stand more than once in these files, each with its places as `path:line`."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for path in paths:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path}:{node.lineno}")
    return {name: where for name, where in sorted(places.items()) if len(where) > 1}


def main() -> None:
    """Print the names that stand twice, and end with an error if there are any."""
    twice = declared_twice(path for package in PACKAGES for path in sorted(Path(package).rglob("*.py")))
    for name, where in twice.items():
        print(f"class {name} stands in {' and in '.join(where)}: rename one of them")
    sys.exit(bool(twice))


if __name__ == "__main__":
    main()
