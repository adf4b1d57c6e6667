"""Whose log an archive holds, and what is missing from it: `_archive.json` in the folder.

Readers of whole folders of Parquet files pass over names that begin with an underscore.
"""

import json
from dataclasses import asdict, dataclass

from highwayman.env.atomic_write import write_atomically
from highwayman.feedback.archive.archive import Archive, ArchiveError
from highwayman.feedback.archive.schema import VERSION
from highwayman.feedback.log.event_id import EventId, sort_key

_NAME = "_archive.json"


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of the log that had left it before it was exported; it is in no part."""

    after: EventId
    upto: EventId  # inclusive


class ArchiveManifest:
    """The manifest of one archive; everything raises ArchiveError."""

    def __init__(self, archive: Archive) -> None:
        """Take the archive."""
        self._archive = archive
        self._path = archive.folder / _NAME

    def claim(self, namespace: str) -> None:
        """Return if the folder is the namespace's; an empty one becomes it."""
        contents = self._read()
        if contents is None:
            if self._archive.files():
                raise ArchiveError(f"{self._path}: is missing, so nobody knows whose events the parts beside it hold")
            self._write(namespace, [])
        elif contents[0] != namespace:
            raise ArchiveError(
                f"{self._path}: holds events of the namespace {contents[0]!r}, not of {namespace!r}; "
                "export these to another folder"
            )

    def gaps(self) -> list[Gap]:
        """Return what is missing, in log order."""
        contents = self._read()
        return [] if contents is None else contents[1]

    def add_gap(self, gap: Gap) -> None:
        """Write down what is missing; a gap noted before, and grown since, is noted once."""
        contents = self._read()
        if contents is None:
            raise ArchiveError(f"{self._path}: is missing")
        namespace, gaps = contents
        self._write(namespace, [*(other for other in gaps if other.after != gap.after), gap])

    def _read(self) -> tuple[str, list[Gap]] | None:
        """Return the namespace and the gaps, or None where there is no manifest."""
        try:
            data = dict(json.loads(self._path.read_text(encoding="utf-8")))
            if data["version"] != VERSION:
                raise ArchiveError(f"{self._path}: has schema version {data['version']}, this version reads {VERSION}")
            gaps = [Gap(gap["after"], gap["upto"]) for gap in data["gaps"]]
            return data["namespace"], sorted(gaps, key=lambda gap: sort_key(gap.after))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ArchiveError(f"{self._path}: {error.strerror}") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ArchiveError(f"{self._path}: is no card of an archive of Highwayman's") from error

    def _write(self, namespace: str, gaps: list[Gap]) -> None:
        data = {"namespace": namespace, "version": VERSION, "gaps": [asdict(gap) for gap in gaps]}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, json.dumps(data, indent=2).encode() + b"\n")
        except OSError as error:
            raise ArchiveError(f"{self._path}: {error.strerror}") from error
