"""docs/reference/configuration.md and pool.md: every key of highwayman.yaml and pool.yaml, from their models."""

import inspect
import json
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from highwayman.bandit.loading import policy_class, shipped_policies
from highwayman.env.pool.schema import PoolEntries
from highwayman.serving.cli.router.config_schema import option_schemas
from highwayman.serving.config.config import Config
from highwayman.serving.reference.schema_words import type_words
from scripts.reference.tables import page, sentence, slug, table

_CONFIGURATION = """Every key of `highwayman.yaml`, which is given with `--config`. `highwayman config show FILE` prints
a file with all defaults, `highwayman config check FILE` what is wrong with it; an unknown key is an error. Which
keys may change while a router runs is said in [running the router](../how-to/serving.md). For editors,
`highwayman config schema` prints a JSON Schema."""
_POOL = """Every key of `pool.yaml`, in which the models are. An arm needs a server (`endpoint`, `endpoints`, or a
`launch` entry), a price (both of them, or `price: unknown`) and, unless it is launched here, its context window.
[The pool](../how-to/pool.md) says what for; `highwayman pool check FILE` says what is wrong with a file. For editors,
`highwayman pool schema` prints a JSON Schema."""
_OPTIONS = """What may stand under `policy.options`, by policy; those that take nothing are left out.
[Which policy when](../how-to/policies.md) says which one is for what."""
_LONGEST = 60  # characters of a default


@dataclass(frozen=True, slots=True)
class Section:
    """A model, and where it stands."""

    path: str  # empty: the file
    model: type[BaseModel]


def configuration_page() -> str:
    """Return docs/reference/configuration.md."""
    options = {name: option_schemas(policy_class(path)) for name, path in sorted(shipped_policies().items())}
    tables = [f"### {name}\n\n{_option_table(schemas)}" for name, schemas in options.items() if schemas]
    parts = [*_sections(Config), f"## Options of the policies\n\n{_OPTIONS}", *tables]
    return page("Keys of highwayman.yaml", _CONFIGURATION, parts)


def pool_page() -> str:
    """Return docs/reference/pool.md."""
    return page("Keys of pool.yaml", _POOL, _sections(PoolEntries))


def _option_table(schemas: Mapping[str, Any]) -> str:
    rows = [
        (f"`{option}`", type_words(schema), _code(schema["default"]), sentence(schema.get("description", "")))
        for option, schema in schemas.items()
    ]
    return table(("option", "takes", "default", "what"), rows)


def _sections(root: type[BaseModel]) -> list[str]:
    sections = [*_walk(Section("", root), set())]
    places = {section.model: section.path for section in reversed(sections)}
    return [_section(section, root, places) for section in sections]


def _walk(section: Section, seen: set[type[BaseModel]]) -> Iterator[Section]:
    """Yield a section and those in it, each model where it comes first."""
    if section.model in seen:
        return
    seen.add(section.model)
    yield section
    for name, field in section.model.model_fields.items():
        for steps, model in _models(field.annotation):
            path = ".".join(filter(None, (section.path, (field.alias or name) + steps)))
            yield from _walk(Section(path, model), seen)


def _models(annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the models that stand in a type, each with how it is come to: `[]` in a list, `.NAME` in a map."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield "", annotation
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    step = {list: "[]", dict: ".NAME"}.get(origin, "") if origin is not None else ""
    for part in parts:
        yield from ((step + steps, model) for steps, model in _models(part))


def _section(section: Section, root: type[BaseModel], places: dict[type[BaseModel], str]) -> str:
    schema = section.model.model_json_schema()
    by_name = {model.__name__: path for model, path in places.items()}

    def link(name: str) -> str:
        path = by_name[name]
        return f"[{path}](#{slug(path)})"

    rows = [
        (f"`{key}`", type_words(of_key, link), _default(field), _what(field))
        for (key, of_key), field in zip(schema["properties"].items(), section.model.model_fields.values(), strict=True)
    ]
    told = table(("key", "takes", "default", "what"), rows)
    about = "" if section.model is root else f"{sentence(inspect.getdoc(section.model) or '')}\n\n"
    return f"## {section.path or 'The file'}\n\n{about}{told}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    default = field.get_default(call_default_factory=True)
    return "" if isinstance(default, BaseModel) else _code(default)


def _what(field: FieldInfo) -> str:
    """Return what a key is; of a section, what its model says, too."""
    own, of_models = field.description or "", dict(_models(field.annotation))
    section = inspect.getdoc(of_models[""]) if "" in of_models else ""
    return f"{sentence(section or '')} {sentence(own)}".strip()


def _code(value: Any) -> str:
    text = json.dumps(value)
    return f"`{text if len(text) <= _LONGEST else text[:_LONGEST] + '...'}`"
