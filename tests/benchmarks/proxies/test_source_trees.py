from pathlib import Path

import pytest

from benchmarks.proxies.source_trees import source_tree

ROOT = Path(__file__).parents[3]


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert source_tree(str(ROOT), tmp_path).root == ROOT


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no repository")
def test_a_revisions_files_are_put_into_a_folder_and_python_takes_the_router_from_there(tmp_path: Path) -> None:
    tree = source_tree("HEAD", tmp_path)
    assert (tree.name, tree.root) == ("HEAD", tmp_path)
    assert (tmp_path / "src" / "highwayman" / "serving" / "app.py").is_file()


def test_a_revision_that_git_does_not_know_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no-such-revision"):
        source_tree("no-such-revision", tmp_path)


def test_a_folder_without_the_router_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Python takes highwayman from"):
        source_tree(str(tmp_path), tmp_path)
