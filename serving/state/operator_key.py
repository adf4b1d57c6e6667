"""The key of whoever runs a router: in its state folder, for the tools of its own machine."""

import logging
import os
import secrets
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_THIS_MACHINE: Final = frozenset({"127.0.0.1", "::1", "localhost"})

log = logging.getLogger(__name__)


def operator_key_path(folder: Path) -> Path:
    """Return where the key of a state folder stands."""
    return folder / "operator.key"


def local_key(url: str, folder: Path) -> str | None:
    """Return the key of a state folder for a router on this machine, None for any other: it goes nowhere else."""
    return _read(folder) if urlsplit(url).hostname in _THIS_MACHINE else None


def operator_key(folder: Path) -> str | None:
    """Return the key of a state folder, made if there is none yet; None where it cannot be kept.

    Whoever may read that folder may do anything with the router as it is: its signing secrets are there.
    """
    path = operator_key_path(folder)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            draft.touch(mode=0o600)
            draft.write_text(f"hwo-{secrets.token_urlsafe(32)}\n", encoding="ascii")
            try:
                os.link(draft, path)  # whole, or that of another worker
            except FileExistsError:
                pass
            finally:
                draft.unlink()
    except OSError as error:
        log.warning("%s is not kept: %s; `highwayman top` needs a key of its own once there are keys", path, error)
    return _read(folder)


def _read(folder: Path) -> str | None:
    """Return the key of a state folder; None where there is none, or it may not be read."""
    try:
        return operator_key_path(folder).read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None
