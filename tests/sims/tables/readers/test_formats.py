import inspect
from pathlib import Path

import pytest

from highwayman.sims.tables.table import TableError
from highwayman.sims.tables.table_file import formats, read_table

LONG = "prompt_id,prompt,model,quality\n1,x,a,1\n"


def test_every_file_among_the_readers_is_a_format() -> None:
    assert set(formats()) >= {"long", "pareto", "routellm", "routerbench"}
    for reader in formats().values():
        assert list(inspect.signature(reader.mismatch).parameters) == ["sheet"]
        assert list(inspect.signature(reader.cells).parameters) == ["sheet"]
        assert reader.__doc__


def test_columns_that_fit_no_format_are_listed_with_what_each_lacks(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("question,answer\nx,y\n")
    with pytest.raises(TableError) as caught:
        read_table(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: columns question, answer fit no format:")
    assert "long: lacks prompt_id, prompt, model, quality" in message
    assert "routerbench: lacks sample_id, prompt, eval_name" in message


def test_a_format_that_is_asked_for_must_fit(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(LONG)
    with pytest.raises(TableError, match=r"t\.csv: columns .* do not fit the format routerbench: lacks sample_id"):
        read_table(path, format="routerbench")
    with pytest.raises(TableError, match=r"format must be one of long, .*, got 'excel'"):
        read_table(path, format="excel")


def test_columns_that_fit_two_formats_are_not_guessed_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.csv"
    path.write_text(LONG)
    monkeypatch.setattr(formats()["pareto"], "mismatch", lambda sheet: "")
    with pytest.raises(TableError, match=r"t\.csv: fits the formats long and pareto; say which one it is"):
        read_table(path)
    assert read_table(path, format="long").n == 1


def test_files_of_different_formats_are_not_read_as_one_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(LONG)
    (tmp_path / "b.csv").write_text("prompt,m\nx,True\n")
    with pytest.raises(TableError, match=r"b\.csv: is in format routellm, .*a\.csv in long"):
        read_table(tmp_path)


def test_a_file_of_another_kind_and_a_folder_without_tables_are_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(TableError, match=r"notes\.txt: a table is a file named \*\.parquet, \*\.csv, \*\.jsonl"):
        read_table(tmp_path / "notes.txt")
    with pytest.raises(TableError, match="holds no table"):
        read_table(tmp_path)
    with pytest.raises(TableError, match="there is no file"):
        read_table([])


def test_json_beside_tables_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(LONG)
    (tmp_path / "summary.json").write_text("{}")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "u.csv").write_text(LONG)
    assert read_table(tmp_path).n == 1
    (tmp_path / "t.csv").unlink()
    with pytest.raises(TableError, match=r"summary\.json: columns  ?fit no format"):
        read_table(tmp_path)
    (tmp_path / "summary.json").unlink()
    assert read_table(tmp_path).arms == ("a",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "must hold a JSON object, or a list of them"),
        ("[]", "holds no rows"),
        ('[{"prompt_id": "1", "prompt": "x", "model": "a", "quality": 7}]', r"row 0: quality must be .*, got 7.0"),
    ],
)
def test_json_that_is_no_table_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(TableError, match=rf"t\.json: {message}"):
        read_table(tmp_path / "t.json")
