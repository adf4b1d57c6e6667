"""What a proxy must say of itself to be measured, and where its program is looked for."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class NotInstalled(Exception):
    """A peer cannot be measured here; says what would have to be there."""


@dataclass(frozen=True, slots=True)
class Site:
    """What a peer is started with."""

    port: int  # free, for it to listen on
    upstream: str  # http://host:port, which it passes everything on to
    folder: Path  # for its files, its own
    venvs: Sequence[Path]  # virtual environments to look into, before PATH

    def program(self, name: str) -> str:
        """Return the path of a program. Raises NotInstalled."""
        for folder in (*(venv / "bin" for venv in self.venvs), Path(sys.prefix) / "bin"):
            if (folder / name).is_file():
                return str(folder / name)
        path = shutil.which(name)
        if path is None:
            raise NotInstalled(f"no {name} on PATH or in a --venv")
        return path

    def python_with(self, package: str) -> str:
        """Return an interpreter that has a package. Raises NotInstalled."""
        for venv in (*self.venvs, Path(sys.prefix)):
            if any(venv.glob(f"lib/python3*/site-packages/{package}")):
                return str(venv / "bin" / "python")
        raise NotInstalled(f"no package {package} in a --venv")


@dataclass(frozen=True, slots=True)
class Launch:
    """How a peer is started, and asked."""

    argv: Sequence[str]
    ready: str | None  # path that answers 200 once it can be asked; None: it can be once its port is known
    model: str = "m"
    path: str = "/v1/chat/completions"
    env: Mapping[str, str] = field(default_factory=dict)
    port_file: Path | None = None  # where it writes the port that it chose itself


class Peer(Protocol):
    """A proxy before an OpenAI-compatible server."""

    @property
    def name(self) -> str:
        """As the table calls it."""

    def launch(self, site: Site) -> Launch:
        """Return how it is started; write its configuration into the site's folder. Raises NotInstalled."""
