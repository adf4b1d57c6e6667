"""TensorZero's tables as ClickHouse exports them, in Parquet or JSONL (`JSONEachRow`), also with .gz.

Looked at: docs/gateway/data-model.mdx of github.com/tensorzero/tensorzero. Parquet of ClickHouse's may hold texts and
UUIDs as bytes, and maps as lists of pairs.
"""

import gzip
import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from highwayman.env.arrow import import_pyarrow
from highwayman.env.errors import ConfigError

_SUFFIXES: Final = (".parquet", ".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz")
_BATCH_ROWS: Final = 2_000


def table_files(folder: Path, table: str) -> list[Path]:
    """Return the files of a table: its name, in any case, and whatever stands behind it, as of parts (`-0001`)."""

    def is_part(path: Path) -> bool:
        name = path.name.lower()
        suffix = next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), None)
        stem = name.removesuffix(suffix or "").replace("_", "")
        return suffix is not None and stem.startswith(table.lower()) and not stem[len(table) : len(table) + 1].isalpha()

    return sorted(filter(is_part, folder.iterdir()))


def read_rows(path: Path, columns: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Yield a file's rows, of each the columns that are there: texts and UUIDs as text, maps as objects.

    Raises:
        ConfigError: the file cannot be read; names it, and of JSONL the line.
    """
    if path.name.endswith(".parquet"):
        yield from _parquet_rows(path, columns)
        return
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    try:
                        row = json.loads(line)
                        yield {name: row[name] for name in columns & row.keys()}
                    except (ValueError, AttributeError) as error:
                        raise ConfigError(f"{path}: line {number}: is no row in JSON ({error})") from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _parquet_rows(path: Path, columns: frozenset[str]) -> Iterator[dict[str, Any]]:
    arrow, parquet = import_pyarrow(extra="parquet"), import_pyarrow("pyarrow.parquet", extra="parquet")
    try:
        with parquet.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names if name in columns]
            for batch in file.iter_batches(_BATCH_ROWS, columns=names):
                for row in batch.to_pylist():
                    yield {name: _plain(value) for name, value in row.items()}
    except (arrow.ArrowException, OSError) as error:
        raise ConfigError(f"{path}: {str(error).partition(chr(10))[0]}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return _uuid(value) if len(value) == 16 else value.decode("utf-8", "replace")
    if isinstance(value, list) and value and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
        return {_plain(key): _plain(inner) for key, inner in value}
    return value


def _uuid(data: bytes) -> str:
    """Return the UUID in 16 bytes; ClickHouse has also written its two halves each in the machine's own order."""
    usual = uuid.UUID(bytes=data)
    halves = uuid.UUID(bytes=data[7::-1] + data[:7:-1])
    return str(halves if usual.version != 7 and halves.version == 7 else usual)


def milliseconds(identifier: Any) -> int:
    """Return when a UUIDv7 was made, in milliseconds since the epoch (RFC 9562). Raises ValueError for another."""
    parsed = uuid.UUID(str(identifier))
    if parsed.version != 7:
        raise ValueError(f"{identifier} is no UUIDv7, so nobody knows when it was")
    return parsed.int >> 80


def chat_of(given: Any, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the chat that OpenAI's clients would have sent, of an inference's `input`. Raises ValueError."""
    said = json.loads(given) if isinstance(given, str) else given
    if not isinstance(said, dict) or not isinstance(said.get("messages", []), list):
        raise ValueError("input is no object with messages")
    messages = [{"role": "system", "content": _text(said["system"])}] if said.get("system") else []
    messages += [_message(message) for message in said.get("messages", [])]
    body: dict[str, Any] = {"model": "auto", "messages": messages or [{"role": "user", "content": ""}]}
    if "output_schema" in row:
        body["response_format"] = {"type": "json_object"}
    params = json.loads(row.get("inference_params") or "{}")
    limit = (params.get("chat_completion") or {}).get("max_tokens") if isinstance(params, dict) else None
    return {**body, "max_tokens": limit} if isinstance(limit, int) and limit > 0 else body


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    content = message.get("content", "")
    blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
    results = [block for block in blocks if isinstance(block, dict) and block.get("type") == "tool_result"]
    if results:
        return {"role": "tool", "tool_call_id": str(results[0].get("id") or "call"), "content": _text(results)}
    role = message.get("role")
    return {"role": role if role in ("user", "assistant") else "user", "content": _text(blocks)}


def _text(value: Any) -> str:
    """Return what stands in content blocks as text: the arguments of a template as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(filter(None, map(_text, value)))
    if isinstance(value, dict):
        for key in ("text", "value", "result", "arguments"):
            if value.get(key) is not None:
                return _text(value[key]) if isinstance(value[key], str) else json.dumps(value[key], ensure_ascii=False)
        return "" if "type" in value else json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value)
