from pathlib import Path

from scripts.class_names import declared_twice


def test_a_class_name_in_two_files_is_told_with_both_places(tmp_path: Path) -> None:
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text("class Arm: ...\nclass _Own: ...\n")
    other.write_text("import x\n\nclass Arm: ...\nclass Pool:\n    class _Own: ...\n")
    assert declared_twice([one, other]) == {"Arm": [f"{one}:1", f"{other}:3"]}
