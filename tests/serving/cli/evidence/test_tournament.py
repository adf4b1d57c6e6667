"""`highwayman tournament`: the table of contenders."""

from io import StringIO

from rich.console import Console

from highwayman.serving.cli.evidence.tournament import contenders_table


def test_a_terminal_of_80_columns_shows_every_number_and_all_that_is_known() -> None:
    verdict = {"difference": -0.329, "low": -0.223, "high": 0.9, "rounds": 1234567, "ess": 1234567.0}
    refused = {**verdict, "refused": "17 rounds with a reward, of at least 100"}
    out = StringIO()
    Console(width=80, file=out).print(contenders_table({"contenders": {"best-constant": refused}}))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    cells = [line.split("│") for line in lines if line.startswith("│")]
    assert [cell.strip() for cell in cells[0][1:7]] == [
        "best-constant", "-32.9", "-22.3", "+90.0", "1,234,567", "1,234,567",
    ]  # fmt: skip
    assert " ".join(row[7].strip() for row in cells) == refused["refused"]
