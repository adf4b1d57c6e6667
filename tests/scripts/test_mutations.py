import ast

import pytest

from scripts.mutations import mutations


def lines(text: str) -> list[str]:
    """The first line that each mutant of a text changes, as it is then; a text that was longer has none."""
    old = text.splitlines()
    return [
        next(new for new, was in zip(mutant.text.splitlines(), old, strict=False) if new != was)
        for mutant in mutations("room/a.py", text)
    ]


@pytest.mark.parametrize(
    ("text", "mutants"),
    [
        ("x = a < b", ["x = (a <= b)", "x = (a >= b)"]),
        ("x = a is not None", ["x = (a is None)"]),
        ("x = a + -b", ["x = (a - -b)", "x = a + (b)"]),
        ("x = a * 2 // c", ["x = (a * 2 * c)", "x = (a / 2) // c", "x = a * 3 // c"]),
        ("x = a and not b", ["x = (a or not b)", "x = a and (b)"]),
        ("x = True, 0.0, 1.5", ["x = False, 0.0, 1.5", "x = True, 1.0, 1.5", "x = True, 0.0, 3.0"]),
        ("x = 99, 100", ["x = 100, 100", "x = 99, 200"]),
        ("x = a if b else c", ["x = (c if b else a)"]),
        ("x = max(a, b)", ["x = min(a, b)"]),
        ("x = f(a, b, c)", ["x = f(b, a, c)"]),
        ("f(a)", ["pass"]),
        ("a.b = c", ["pass"]),
        ("a += b", ["pass"]),
        ("é = 'ü' + a - 1", ["é = ('ü' + a + 1)", "é = 'ü' + a - 2"]),  # columns are counted in bytes
    ],
)
def test_each_sign_bound_constant_statement_and_pair_of_arguments_is_changed_once(
    text: str, mutants: list[str]
) -> None:
    assert lines(text) == mutants


@pytest.mark.parametrize(
    "text",
    ["import a", "'''Says 1 < 2.'''", "x: f[a, 1] = b", "assert a < 1", "log.warning('a', 1)", "x = f'{a + 1}'",
     "x = f(a, a)", "@f(a, 1)\nclass A: ...", "def f(a: g[1]) -> h[2]: ..."],
)  # fmt: skip
def test_what_no_test_of_behaviour_could_tell_is_left_alone(text: str) -> None:
    assert lines(text) == []


FUNCTION = """\
LEAST = 1


def f(
    a=2,
):
    if a < LEAST:
        g(
            a,
            3,
        )
    return a
"""


def test_a_mutant_knows_the_lines_of_its_own_statement_and_whether_a_call_runs_them() -> None:
    places = [(mutant.first_line, mutant.last_line, mutant.in_function) for mutant in mutations("a.py", FUNCTION)]
    call = (8, 11, True)
    assert places == [(1, 1, False), (4, 6, True), (7, 7, True), (7, 7, True), call, call, call]
    cached = [mutant.in_function for mutant in mutations("a.py", f"@cache\n{FUNCTION[11:]}")]
    assert cached == [False] * len(places[1:])  # the first test to call it runs it for all
    assert all(ast.parse(mutant.text) for mutant in mutations("a.py", FUNCTION))
