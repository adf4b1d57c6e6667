"""What another program's configuration comes to here, and how it is written and told."""

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click
import yaml

from highwayman.env.atomic_write import write_atomically
from highwayman.env.errors import ConfigError
from highwayman.env.pool.pool_file import load_pool
from highwayman.env.pool.schema import RESERVED_NAMES
from highwayman.serving.config.config import load_config

POOL, CONFIG = "pool.yaml", "highwayman.yaml"
WINDOW: Final = 128_000  # tokens, where nobody says: too large a window costs a failover, too small a one the request


@dataclass(slots=True)
class Imported:
    """A pool, a configuration, and what neither could take."""

    source: str  # the product, and its file
    arms: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_name: dict[str, dict[str, Any]] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what was not carried over, and what to do instead
    set_in_environment: set[str] = field(default_factory=set)
    without_window: list[str] = field(
        default_factory=list
    )  # models of which the source does not say how much they hold

    def note(self, place: str, why: str) -> None:
        """Tell what at a place of the source was not carried over."""
        self.notes.append(f"{place}: {why}")

    def note_rest(self, place: str, rest: Mapping[str, Any], reasons: Mapping[str, str]) -> None:
        """Tell of all keys that nobody took, by name only: values may be secrets."""
        for key in rest:
            self.note(f"{place}.{key}" if place else key, reasons.get(key, "there is nothing like it here"))

    def note_gaps(self) -> None:
        """Tell which arms lack what the source does not say of its models."""
        if self.without_window:
            names = ", ".join(dict.fromkeys(self.without_window))
            self.note(f"context windows of {names}", f"not told; {WINDOW:,} tokens are written, put the true ones in")
        unpriced = [name for name, arm in self.arms.items() if arm.get("price") == "unknown"]
        if unpriced:
            budget = ", and no budget holds for them" if "budget" in self.config else ""
            self.note(
                f"prices of {', '.join(unpriced)}", f"not told; until you put them in, cost plays no part{budget}"
            )


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Raise ConfigError that names the place where what stands there is of another shape than documented.

    What stands there is not said: it may be a key.
    """
    try:
        yield
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        kind = "a number, a text, a list or keys where another of these should be"
        raise ConfigError(f"{place}: cannot be read; it has {kind} ({type(error).__name__})") from error


def free_name(text: str, taken: Iterable[str]) -> str:
    """Return a name that an arm may have, and none has yet, made from a text."""
    name = re.sub(r"[^A-Za-z0-9._:/@+-]", "-", text).lstrip("._:/@+-")[:120] or "arm"
    name = f"imported-{name}" if name in RESERVED_NAMES else name
    names = {*taken}
    return next(
        candidate for n in range(1, len(names) + 2) if (candidate := name if n == 1 else f"{name}-{n}") not in names
    )


def refuse_existing(paths: Iterable[Path], *, force: bool) -> None:
    """Raise ConfigError for files that are there already."""
    there = [str(path) for path in paths if path.exists()]
    if there and not force:
        raise ConfigError(f"{', '.join(there)} is there already. Write elsewhere, or give --force to replace it.")


def write_files(imported: Imported, folder: Path, *, force: bool) -> None:
    """Write `pool.yaml` and `highwayman.yaml` into a folder, as far as both are sound, and say what became of it all.

    Raises:
        ConfigError: no arm came out, a value does not fit, or a file is there already.
    """
    paths = {name: folder / name for name in (POOL, CONFIG)}
    refuse_existing(paths.values(), force=force)
    if not imported.arms:
        raise ConfigError("\n".join(["no model can be routed to", *imported.notes]))
    pool = {"arms": imported.arms, **({"by_name": imported.by_name} if imported.by_name else {})}
    texts = {POOL: _text(imported.source, pool), CONFIG: _text(imported.source, imported.config)}
    with tempfile.TemporaryDirectory() as scratch:  # both are read as the router reads them, before either is written
        for name, text in texts.items():
            (Path(scratch) / name).write_text(text, encoding="utf-8")
        load_pool(Path(scratch) / POOL)
        load_config(Path(scratch) / CONFIG)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in paths.items():
            write_atomically(path, texts[name].encode())
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}") from error
    for line in _summary(imported, paths):
        click.echo(line)


def tell_notes(notes: Iterable[str]) -> None:
    """Print what was not carried over."""
    notes = list(notes)
    click.echo("not carried over:" if notes else "everything was carried over")
    for note in notes:
        click.echo(f"  {note}")


def _text(source: str, data: Mapping[str, Any]) -> str:
    head = f"# From {source}, by `highwayman import`.\n"
    return head + (yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=120) if data else "")


def _summary(imported: Imported, paths: Mapping[str, Path]) -> Iterable[str]:
    names = ", ".join([*imported.arms, *(f"{name} (asked by name)" for name in imported.by_name)])
    yield f"{paths[POOL]}: {names}"
    yield f"{paths[CONFIG]}: {', '.join(imported.config) or 'all as by default'}"
    if imported.set_in_environment:
        yield f"to be set in the environment: {', '.join(sorted(imported.set_in_environment))}"
    tell_notes(imported.notes)
    yield f"check it:  highwayman config check {paths[CONFIG]} --pool {paths[POOL]}"
    yield f"start it:  highwayman serve --config {paths[CONFIG]} --pool {paths[POOL]}"
