"""Small faults to put into a source file: a sign, a bound, a constant, a statement dropped, arguments swapped."""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum", "maximum": "minimum"}
_DROPPED = (ast.AugAssign, ast.Raise, ast.Continue, ast.Break, ast.Delete)
_SMALL = 100
_COMMUTES = frozenset({"cast", "isinstance", "min", "max", "minimum", "maximum"})
_LOGGERS = frozenset({"log", "logger", "warnings"})


@dataclass(frozen=True, slots=True)
class Mutation:
    """One fault: the file's whole text with it, and the lines of the statement it stands in."""

    path: str
    kind: str
    first_line: int
    last_line: int
    in_function: bool
    text: str


@dataclass(frozen=True, slots=True)
class _Place:
    """A node that can be changed, the statement around it, and whether that runs when a function is called."""

    node: ast.expr | ast.stmt
    statement: ast.stmt
    in_function: bool


def mutations(path: str, text: str) -> list[Mutation]:
    """Return every fault that can be put into this file, in the order of its lines.

    Left alone: annotations, decorators, docstrings and other strings, what is inside an f-string, assertions, and what
    is said to a logger, as no test of behaviour could tell.

    Raises:
        SyntaxError: The text is not Python.
    """
    made = []
    for place in _places(ast.parse(text).body, in_function=False):
        for kind, changed in _changes(place.node):
            mutated = _replaced(text, place.node, changed)
            statement = place.statement
            last = _last_line(statement)
            made.append(Mutation(path, kind, statement.lineno, last, place.in_function, mutated))
    return made


def _last_line(statement: ast.stmt) -> int:
    """The last line of a statement, or of its head where it has a body."""
    body = getattr(statement, "body", None)
    return max(statement.lineno, body[0].lineno - 1) if body else statement.end_lineno or statement.lineno


def _places(body: list[ast.stmt], *, in_function: bool) -> Iterator[_Place]:
    for statement in body:
        if isinstance(statement, ast.Import | ast.ImportFrom | ast.Assert):
            continue
        yield _Place(statement, statement, in_function)
        inside = in_function or _is_run_by_each_call(statement)
        for expression in _expressions(statement):
            yield _Place(expression, statement, inside)
        for block in _blocks(statement):
            yield from _places(block, in_function=inside)


def _is_run_by_each_call(statement: ast.stmt) -> bool:
    """Whether a statement is a function, and no cached one, which the first test to call it runs for all others."""
    if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return not any("cache" in ast.unparse(decorator) for decorator in statement.decorator_list)


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        if block := getattr(statement, name, None):
            yield block
    for part in [*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())]:
        yield part.body


def _expressions(statement: ast.stmt) -> Iterator[ast.expr]:
    """Every expression of a statement itself: nothing of its blocks, annotations, decorators or strings."""
    if _is_logged(statement):
        return
    waiting: list[ast.AST] = []
    for name, value in ast.iter_fields(statement):
        if name not in {"body", "orelse", "finalbody", "handlers", "annotation", "returns", "decorator_list", "cases"}:
            waiting += [node for node in (value if isinstance(value, list) else [value]) if isinstance(node, ast.AST)]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.JoinedStr):
            continue
        if isinstance(node, ast.expr):
            yield node
        waiting += [
            child
            for name, value in ast.iter_fields(node)
            if name not in {"annotation", "returns"}
            for child in (value if isinstance(value, list) else [value])
            if isinstance(child, ast.AST)
        ]


def _is_logged(statement: ast.stmt) -> bool:
    call = statement.value if isinstance(statement, ast.Expr) else None
    function = call.func if isinstance(call, ast.Call) else None
    owner = function.value if isinstance(function, ast.Attribute) else None
    name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
    return name.lower().strip("_") in _LOGGERS


def _changes(node: ast.expr | ast.stmt) -> Iterator[tuple[str, ast.AST]]:  # noqa: PLR0912 - a kind of node each
    match node:
        case ast.Compare(ops=[operator]):
            for other in _COMPARISONS[type(operator)]:
                yield "comparison", _with(node, ops=[other()])
        case ast.BinOp(op=operator) if type(operator) in _ARITHMETIC and not _joins_text(node):
            yield "arithmetic", _with(node, op=_ARITHMETIC[type(operator)]())
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert(), operand=operand):
            yield "sign", operand
        case ast.BoolOp(op=operator):
            yield "and/or", _with(node, op=ast.Or() if isinstance(operator, ast.And) else ast.And())
        case ast.Constant(value=bool() as value):
            yield "constant", ast.Constant(not value)
        case ast.Constant(value=int() as value):  # one more than ten thousand would be no fault
            yield "constant", ast.Constant(value + 1 if value < _SMALL else value * 2)
        case ast.Constant(value=float() as value):
            yield "constant", ast.Constant(value * 2 if value else 1.0)
        case ast.IfExp(body=body, orelse=orelse):
            yield "branches", _with(node, body=orelse, orelse=body)
        case ast.Call():
            yield from _changed_calls(node)
        case ast.Expr(value=ast.Call() | ast.Await()) if not _is_logged(node):
            yield "dropped", ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "dropped", ast.Pass()
        case _ if isinstance(node, _DROPPED):
            yield "dropped", ast.Pass()


def _changed_calls(node: ast.Call) -> Iterator[tuple[str, ast.AST]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in _NAMES:
        function = copy.deepcopy(node.func)
        setattr(function, "attr" if isinstance(function, ast.Attribute) else "id", _NAMES[name])
        yield "min/max", _with(node, func=function)
    if len(node.args) >= 2 and not any(isinstance(argument, ast.Starred) for argument in node.args[:2]):
        first, second, *others = node.args
        if ast.dump(first) != ast.dump(second) and name not in _COMMUTES:
            yield "arguments", _with(node, args=[second, first, *others])


def _joins_text(node: ast.BinOp) -> bool:
    sides = (node.left, node.right)
    return any(
        isinstance(side, ast.JoinedStr) or (isinstance(side, ast.Constant) and isinstance(side.value, str | bytes))
        for side in sides
    )


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _replaced(text: str, node: ast.expr | ast.stmt, changed: ast.AST) -> str:
    """The text with the node's own characters replaced; brackets keep the rest of the expression as it was read."""
    start = _offset(text, node.lineno, node.col_offset)
    end = _offset(text, node.end_lineno or 0, node.end_col_offset or 0)
    new = ast.unparse(ast.fix_missing_locations(changed))
    bracketed = new if isinstance(changed, ast.Constant | ast.stmt | ast.Call) else f"({new})"
    data = text.encode()
    return (data[:start] + bracketed.encode() + data[end:]).decode()


def _offset(text: str, line: int, column: int) -> int:
    """The place in the encoded text of a line's column, both as `ast` counts them."""
    return sum(len(part.encode()) for part in text.split("\n")[: line - 1]) + line - 1 + column
