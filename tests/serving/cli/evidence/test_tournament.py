"""`highwayman tournament`: the table of contenders."""

from io import StringIO

from rich.console import Console

from highwayman.serving.cli.evidence.tournament import contenders_table

REFUSED = {
    "difference": -0.329, "low": -0.223, "high": 0.9, "rounds": 1234567, "ess": 1234567.0,
    "refused": "17 rounds with a reward, of at least 100",
}  # fmt: skip


def rows(*contenders: str) -> list[tuple[str, list[str], str]]:
    """The lines of a table on eighty columns: of the name, the numbers, and of what is known."""
    out = StringIO()
    Console(width=80, file=out).print(contenders_table({"contenders": dict.fromkeys(contenders, REFUSED)}))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    head = next(number for number, line in enumerate(lines) if "contender" in line)
    numbers, known = lines[head].index("contender") + 15, lines[head].index("what is known")
    body = [line for line in lines[head + 2 :] if line.strip()]
    return [(line[:numbers].strip(), line[numbers:known].split(), line[known:].strip()) for line in body]


def test_a_terminal_of_80_columns_shows_every_number_and_all_that_is_known() -> None:
    told = rows("best-constant")
    assert told[0][:2] == ("best-constant", ["-32.9", "-22.3", "+90.0", "1,234,567", "1,234,567"])
    assert " ".join(known for _, _, known in told) == REFUSED["refused"]


def test_a_long_name_is_broken_and_no_number_is() -> None:
    name = "always mistralai/Mixtral-8x22B-Instruct-v0.1"
    told = rows("best-constant", name)
    numbers = [row[1] for row in told if row[1]]
    assert numbers == [["-32.9", "-22.3", "+90.0", "1,234,567", "1,234,567"]] * 2
    assert "".join(row[0] for row in told).replace(" ", "") == f"best-constant{name}".replace(" ", "")
