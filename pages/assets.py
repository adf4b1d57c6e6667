"""The files that a browser is sent: style sheet, scripts, libraries; each with a name that changes when it does."""

import gzip
import hashlib
import mimetypes
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable


@dataclass(frozen=True)
class Asset:
    """A file; its text is packed once, when it is first asked for."""

    name: str
    content: bytes

    @property
    def media_type(self) -> str:
        """As HTTP says it."""
        kind = mimetypes.guess_type(self.name)[0] or "application/octet-stream"
        return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind

    @cached_property
    def packed(self) -> bytes:
        """The content with gzip."""
        return gzip.compress(self.content, 9, mtime=0)

    @cached_property
    def version(self) -> str:
        """What tells it from what stood under its name before."""
        return hashlib.sha256(self.content).hexdigest()[:12]


class Assets:
    """Files of this room and of others', by name."""

    def __init__(self, *packages: str) -> None:
        """Read the `static` folder of this room and of further packages. Raises FileNotFoundError."""
        self._assets: dict[str, Asset] = {}
        for package in ("highwayman.pages", *packages):
            folder = files(package) / "static"
            for file in (*_files(folder), *_files(folder / "vendor")):
                self._assets[file.name] = Asset(file.name, file.read_bytes())

    def get(self, name: str) -> Asset | None:
        """Return a file, None if there is none of this name."""
        return self._assets.get(name)

    def text(self, name: str) -> str:
        """Return a file's text. Raises KeyError."""
        return self._assets[name].content.decode()

    def url(self, name: str, root: str) -> str:
        """Return where a file is fetched: a browser may keep it for ever. Raises KeyError."""
        return f"{root}/{name}?v={self._assets[name].version}"


def _files(folder: Traversable) -> Iterable[Traversable]:
    if not folder.is_dir():
        return []
    return sorted((file for file in folder.iterdir() if file.is_file()), key=lambda file: file.name)
