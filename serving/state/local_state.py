"""What a router keeps on its own disk, to start and to go on without Redis."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from highwayman.env.atomic_write import write_atomically
from highwayman.env.errors import ConfigError, SnapshotError
from highwayman.feedback.learning import snapshot_file
from highwayman.feedback.learning.publications import Published
from highwayman.feedback.log.event_id import sort_key
from highwayman.feedback.trust.api_keys import ApiKey, key_json, parse_key

log = logging.getLogger(__name__)


def state_folder() -> Path:
    """Return where a user's programs keep what they must not lose: XDG_STATE_HOME, passed over where it is relative."""
    home = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".local" / "state") / "highwayman"


class LocalState:
    """The signing secrets and the last published version of a namespace; routers of one machine may share it."""

    def __init__(self, folder: Path, namespace: str, lineage: str) -> None:
        """Take the folder, which is made if need be. Raises ConfigError where that is not possible."""
        name = quote(namespace, safe="")
        self._secrets = folder / f"secrets-{name}.json"
        self._spread = folder / f"spread-{name}.json"
        self._keys = folder / f"keys-{name}.jsonl"
        self._version = folder / f"policy-{name}-{lineage}.hwym"
        self._beside = folder / f"tally-{name}-{lineage}.hwym"  # of a later version with the same policy
        self._lineage = lineage
        self.spools = folder / f"spool-{name}"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ConfigError(f"{folder}: {error.strerror}; give a --state-dir that can be written to") from error

    def secrets(self) -> list[bytes]:
        """Return the secrets kept last, none if there are none."""
        try:
            return [bytes.fromhex(secret) for secret in json.loads(self._secrets.read_text())]
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            log.error("%s cannot be used: %s", self._secrets.name, type(error).__name__)
            return []

    def save_secrets(self, secrets: list[bytes]) -> None:
        """Keep the secrets, readable by the owner only."""
        if secrets != self.secrets():
            self._write(self._secrets, json.dumps([secret.hex() for secret in secrets]).encode())

    def spread(self) -> dict[str, float]:
        """Return how far the pool's arms lay apart when that was settled, by unit; empty if that is not known."""
        try:
            return {name: float(amount) for name, amount in json.loads(self._spread.read_text()).items() if amount > 0}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.error("%s cannot be used: %s", self._spread.name, type(error).__name__)
            return {}

    def save_spread(self, spread: Mapping[str, float]) -> None:
        """Keep what the namespace has settled on."""
        if spread != self.spread():
            self._write(self._spread, json.dumps(dict(spread)).encode())

    def keys(self) -> list[ApiKey]:
        """Return the API keys kept last, none if there are none."""
        try:
            return [parse_key(line) for line in self._keys.read_text().splitlines()]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, LookupError, TypeError) as error:
            log.error("%s cannot be used: %s", self._keys.name, type(error).__name__)
            return []

    def save_keys(self, keys: Sequence[ApiKey]) -> None:
        """Keep the API keys, of which only HMACs are known, readable by the owner only."""
        self._write(self._keys, "".join(f"{key_json(key)}\n" for key in keys).encode())

    def version(self) -> Published | None:
        """Return the version kept last, or None where there is none that can be used."""
        published, later = self._read_version(self._version), self._read_version(self._beside)
        if published is None or later is None:
            return published
        whole = later.with_policy_of(published)
        is_later = sort_key(whole.snapshot.position) > sort_key(published.snapshot.position)
        return whole if whole.snapshot.policy and is_later else published

    def save_version(self, published: Published) -> None:
        """Keep a published version; one without its policy beside the version that has it."""
        path = self._version if published.snapshot.policy else self._beside
        try:
            snapshot_file.write_snapshot(path, published, lineage=self._lineage)
        except OSError as error:
            log.warning("%s is not kept: %s", path.name, error.strerror)

    def _read_version(self, path: Path) -> Published | None:
        if not path.exists():
            return None
        try:
            return snapshot_file.read_snapshot(path, lineage=self._lineage)
        except SnapshotError as error:
            log.error("%s", error)
            return None

    def _write(self, path: Path, data: bytes) -> None:
        try:
            write_atomically(path, data, private=True)
        except OSError as error:
            log.warning("%s is not kept: %s", path.name, error.strerror)
