"""As much of PromQL as the dashboard and the alerts speak: what is written is checked, what is named is told."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

FUNCTIONS = frozenset({"rate", "increase", "histogram_quantile", "vector"})
AGGREGATIONS = frozenset({"sum", "min", "max", "avg", "count"})
OF_LABELS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
OPERATORS = frozenset({"and", "or", "unless"})
_TOKEN = re.compile(
    r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<duration>\d+[smhdw])|(?P<number>\d+(?:\.\d+)?)|(?P<name>[a-zA-Z_:][\w:]*)'
    r"|(?P<sign>==|!=|>=|<=|=~|!~|[-+*/%^><=(){}\[\],]))"
)


class BadQuery(ValueError):
    """A query that cannot be read."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Which series a query asks for, and which of their labels it goes by."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]
    is_range: bool

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a series of the name is among them."""
        return all(_holds(labels.get(label, ""), sign, value) for label, sign, value in self.matchers)


@dataclass(frozen=True, slots=True)
class Query:
    """What a query names."""

    selectors: tuple[Selector, ...]
    labels: frozenset[str]  # that it groups by
    has_default: bool  # whether a number stands in where there is no series


def parse(text: str) -> Query:
    """Read a query. Raises BadQuery."""
    tokens = list(_tokens(text.replace("$__rate_interval", "1m")))
    reader = _Reader(tokens)
    reader.expression()
    if reader.kind is not None:
        raise BadQuery(f"{reader.value!r} is left over in {text}")
    return Query(tuple(reader.selectors), frozenset(reader.labels), "vector(" in text)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(text.rstrip()):
        token = _TOKEN.match(text, place)
        if token is None or token.lastgroup is None:
            raise BadQuery(f"cannot be read from {text[place : place + 20]!r} on")
        yield token.lastgroup, token.group(token.lastgroup)
        place = token.end()


class _Reader:
    """Goes through a query's tokens by recursive descent; precedence of operators is not looked at."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens, self._place = tokens, 0
        self.selectors: list[Selector] = []
        self.labels: list[str] = []

    @property
    def kind(self) -> str | None:
        return self._tokens[self._place][0] if self._place < len(self._tokens) else None

    @property
    def value(self) -> str:
        return self._tokens[self._place][1] if self._place < len(self._tokens) else ""

    def _take(self, *expected: str) -> str:
        value = self.value
        if expected and value not in expected:
            raise BadQuery(f"expected {' or '.join(expected)}, got {value or 'the end'!r}")
        self._place += 1
        return value

    def expression(self) -> None:
        self._term()
        while self.value in {"+", "-", "*", "/", ">", "<", "==", "!=", ">=", "<=", *OPERATORS}:
            self._take()
            while self.value in OF_LABELS - {"by", "without"}:
                self._label_list()
            self._term()

    def _label_list(self) -> None:
        grouping = self._take(*OF_LABELS)
        self._take("(")
        while self.value != ")":
            if self.kind != "name":
                raise BadQuery(f"{self.value!r} is no label")
            if grouping == "by" and self.value != "le":
                self.labels.append(self.value)
            self._take()
            if self.value != ")":
                self._take(",")
        self._take(")")

    def _term(self) -> None:
        if self.kind == "number":
            self._take()
        elif self.value == "(":
            self._take()
            self.expression()
            self._take(")")
        elif self.value in AGGREGATIONS:
            self._take()
            if self.value in {"by", "without"}:
                self._label_list()
            self._arguments(1)
        elif self.value in FUNCTIONS:
            function = self._take()
            self._arguments(2 if function == "histogram_quantile" else 1)
            if function in {"rate", "increase"} and not self.selectors[-1].is_range:
                raise BadQuery(f"{function} needs a range: {self.selectors[-1].name}[5m]")
        elif self.kind == "name":
            self._selector()
        else:
            raise BadQuery(f"nothing begins with {self.value!r}")

    def _arguments(self, count: int) -> None:
        self._take("(")
        for place in range(count):
            if place:
                self._take(",")
            self.expression()
        self._take(")")

    def _selector(self) -> None:
        name, matchers = self._take(), []
        if self.value == "{":
            self._take()
            while self.value != "}":
                label, sign, value = self._take(), self._take("=", "!=", "=~", "!~"), self._take()
                matchers.append((label, sign, value[1:-1]))
                if self.value != "}":
                    self._take(",")
            self._take("}")
        is_range = self.value == "["
        if is_range:
            self._take()
            if self.kind != "duration":
                raise BadQuery(f"{self.value!r} is no duration")
            self._take()
            self._take("]")
        self.selectors.append(Selector(name, tuple(matchers), is_range))


def _holds(label: str, sign: str, value: str) -> bool:
    equal = re.fullmatch(value, label) is not None if "~" in sign else label == value
    return equal != sign.startswith("!")
