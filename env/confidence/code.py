"""Whether Python code in an answer compiles."""

import ast
import re
import warnings
from collections.abc import Mapping
from typing import Any, Final

from highwayman.env.confidence.signal import FinishedAnswer

_BLOCK: Final = re.compile(r"^[ \t]*```(?:python|py|python3)[ \t]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE)
_MOST_CHARS: Final = 20_000  # of a block
_MOST_BLOCKS: Final = 8
_MOST_DEPTH: Final = 40  # of brackets and of indentation: the parser of deeper code may run out of stack
_PREFIXES: Final = re.compile(r"(?:(?:[-+~]|\bnot\b|\blambda\b|\bawait\b)[\s:]*)+")
_OPENING: Final = "([{"
_CLOSING: Final = ")]}"


class CompilingCode:
    """`code_compiles`: 1 where every fenced block of Python parses, 0 where one does not; missing without a block.

    Nothing is run. A block that is too long or too deep to be looked at safely is passed over.
    """

    names = ("code_compiles",)
    asks_for: Mapping[str, Any] = {}

    def read(self, finished: FinishedAnswer) -> Mapping[str, float]:
        """Return the signal."""
        blocks = [match.group(1) for match in _BLOCK.finditer(finished.transcript().text)][:_MOST_BLOCKS]
        looked_at = [block for block in blocks if len(block) <= _MOST_CHARS and _depth(block) <= _MOST_DEPTH]
        return {"code_compiles": float(all(map(_parses, looked_at)))} if looked_at else {}


def _parses(code: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def _depth(code: str) -> int:
    """Return how deep brackets, operators before a value and indentation lie in one another, at most."""
    depth = deepest = 0
    for sign in code:
        if sign in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif sign in _CLOSING:
            depth -= 1
    prefixes = max(map(len, _PREFIXES.findall(code)), default=0)
    indented = max((len(line) - len(line.lstrip()) for line in code.splitlines()), default=0)
    return max(deepest, prefixes // 2, indented // 4)
