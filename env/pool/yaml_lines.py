"""YAML read strictly: a key given twice is refused, and every value knows its line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from highwayman.env.errors import ConfigError

Location = Sequence[str | int]  # keys and indices from the root to a value


@dataclass(frozen=True, slots=True, eq=False)
class YamlDocument:
    """A parsed YAML file: its data, and the nodes it came from."""

    name: str
    data: Any
    root: yaml.Node | None

    def line(self, location: Location) -> int:
        """Return the line, from 1, of the value at `location`, or of its nearest ancestor that is in the file."""
        node, line = self.root, 1
        for step in location:
            child = _child(node, step)
            if child is None:
                break
            node, line = child
        return line


def read_yaml(path: Path) -> YamlDocument:
    """Return the YAML document at `path`.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or gives a key twice.
    """
    loader = yaml.SafeLoader(_text(path))
    try:
        root = loader.get_single_node()
        _refuse_duplicates(str(path), root)
        data = None if root is None else loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    finally:
        loader.dispose()
    return YamlDocument(str(path), data, root)


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
        yaml.reader.Reader(text)  # refuses control characters before a parser meets them
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    return text


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and 0 <= step < len(node.value):
        item = node.value[step]
        return item, item.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):  # merged-in keys come first, and lose
            if key.value == str(step):
                return value, key.start_mark.line + 1
    return None


def _refuse_duplicates(name: str, root: yaml.Node | None) -> None:
    problems = [
        f"{name}:{again}: key '{key}' is given twice, first on line {first}. Keep one of them."
        for key, first, again in _duplicates(root, set())
    ]
    if problems:
        raise ConfigError("\n".join(problems))


def _duplicates(node: yaml.Node | None, visited: set[int]) -> Iterator[tuple[str, int, int]]:
    if id(node) in visited:  # an alias, perhaps to an ancestor
        return
    visited.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and seen.setdefault((key.tag, key.value), line) != line:
                yield key.value, seen[key.tag, key.value], line
            yield from _duplicates(value, visited)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _duplicates(item, visited)
