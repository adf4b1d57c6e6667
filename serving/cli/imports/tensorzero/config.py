"""TensorZero's `tensorzero.toml`: a function's variants as arms, its metrics as ours, and how variants were drawn.

Looked at: the configuration reference and the pages on variants and A/B tests in docs/ of the archived repository
github.com/tensorzero/tensorzero. A variant is drawn once for all calls of a function within an episode.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from highwayman.env.errors import ConfigError
from highwayman.serving.cli.imports.imported import WINDOW, Imported, free_name, reading
from highwayman.serving.cli.imports.providers import PROVIDERS, place_of

_TYPES: Final = {  # TensorZero's name for a provider -> ours, and where its variable has another name
    "google_ai_studio_gemini": ("gemini", "GOOGLE_AI_STUDIO_API_KEY"),
    "vllm": ("vllm", "VLLM_API_KEY"),
    "sglang": ("sglang", "SGLANG_API_KEY"),
    "tgi": ("tgi", "TGI_API_KEY"),
}
_TEMPLATE: Final = re.compile(r"\{\{|\{%|\{#")
_SAYS_NOTHING: Final = frozenset({"type", "weight", "description", "retries"})
_REASONS: Final = {
    "user_template": "templates are the application's: it sends the message as it is to be read",
    "assistant_template": "templates are the application's: it sends the message as it is to be read",
    "templates": "templates are the application's: it sends the message as it is to be read",
    "json_mode": "the application sends `response_format` itself",
    "timeouts": "one for all arms (limits.first_byte_s, docs/reference/limits.md)",
    "gateway": "the router's own options: highwayman serve --help",
    "clickhouse": "the log is in Redis; `highwayman export` makes Parquet of it",
    "postgres": "the log is in Redis; `highwayman export` makes Parquet of it",
    "evaluations": "judges grade a share of the answers (docs/how-to/judge.md)",
    "tools": "the application sends its tools itself",
    "provider_types": "who serves an arm is in the pool file",
    "object_storage": "pictures are not stored",
    "rate_limiting": "limits are those of keys and tenants",
}


@dataclass(frozen=True, slots=True)
class Drawing:
    """How a function's variants were drawn."""

    probs: Mapping[str, float]  # of each variant that could be drawn; empty: nobody can tell
    arms: Mapping[str, str]  # variant -> the arm's name


def imported_function(data: Mapping[str, Any], folder: Path, name: str, function: str) -> tuple[Imported, Drawing]:
    """Return what a function comes to here, and how its variants were drawn.

    Args:
        data: of the file.
        folder: that the file's paths are relative to.
        name: of the file.
        function: one of its functions.

    Raises:
        ConfigError: there is no such function.
    """
    imported = Imported(f"TensorZero's {name}, function {function}")
    with reading(name):
        return imported, _import_function(dict(data), folder, name, function, imported=imported)


def _import_function(
    rest: dict[str, Any], folder: Path, name: str, function: str, *, imported: Imported
) -> Drawing:  # fmt: skip
    functions, models = dict(rest.pop("functions", None) or {}), dict(rest.pop("models", None) or {})
    if function not in functions:
        raise ConfigError(f"{name}: there is no function {function!r}; there are {', '.join(functions) or 'none'}")
    entry = dict(functions.pop(function))
    variants, experiment = dict(entry.pop("variants", None) or {}), dict(entry.pop("experimentation", None) or {})
    entry.pop("type", None)
    imported.config["namespace"] = re.sub(r"[{}]", "-", function)
    place, arms = f"functions.{function}", dict[str, str]()
    for variant, keys in variants.items():
        with reading(f"{place}.variants.{variant}"):
            _add_variant(variant, dict(keys), _Models(models, folder, f"{place}.variants.{variant}", imported), arms)
    probs = _probabilities(variants, experiment)
    for variant in arms.keys() - probs.keys() if probs else ():
        imported.arms[arms[variant]]["state"] = "draining"
        imported.note(
            f"{place}.variants.{variant}", "was not drawn there; it is `draining` here, until you change that"
        )
    imported.note(f"{place}: weights", "which arm answers is learned from feedback, from equal shares on")
    imported.note_rest(place, entry, _REASONS)
    _add_metrics(dict(rest.pop("metrics", None) or {}), imported)
    _add_embeddings(dict(rest.pop("embedding_models", None) or {}), folder, imported)
    if functions:
        others = ", ".join(functions)
        imported.note(f"functions {others}", "each has a pool, a configuration and a namespace of its own (--function)")
    imported.note_rest("", rest, _REASONS)
    imported.note_gaps()
    return Drawing(probs, arms)


def _add_variant(variant: str, keys: dict[str, Any], models: "_Models", arms: dict[str, str]) -> None:
    imported = models.imported
    if (kind := keys.get("type", "chat_completion")) != "chat_completion":
        imported.note(models.place, f"type {kind!r}: an arm is one model; best-of-n is `best_of` of its profile")
        return
    entry = models.entry(str(keys.pop("model", "")))
    if entry is None:
        return
    profile: dict[str, Any] = {
        key: keys.pop(key) for key in ("max_tokens", "reasoning_effort") if keys.get(key) is not None
    }
    if keys.get("temperature") is not None:
        profile["temperature"] = float(keys.pop("temperature"))
    if system := _system(keys, models):
        profile["system"] = system
    name = free_name(variant, imported.arms)
    arms[variant] = name
    imported.arms[name] = {**entry, **({"profile": profile} if profile else {})}
    rest = {key: value for key, value in keys.items() if key not in _SAYS_NOTHING}
    imported.note_rest(models.place, rest, _REASONS)


def _system(keys: dict[str, Any], models: "_Models") -> str | None:
    """Return a system prompt that is the same for every request; None, and a note, for a template with places in it."""
    templates = dict(keys.get("templates") or {})
    given = keys.pop("system_template", None) or (templates.pop("system", None) or {})
    if templates or "templates" in keys:
        keys["templates"] = templates
        if not templates:
            del keys["templates"]
    path = given.get("path") if isinstance(given, Mapping) else given
    if isinstance(path, Mapping):
        path = path.get("__tensorzero_remapped_path")
    if not path:
        return None
    try:
        text = (models.folder / str(path)).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        models.imported.note(f"{models.place}: system template", f"{path} cannot be read")
        return None
    if _TEMPLATE.search(text):
        models.imported.note(
            f"{models.place}: system template", f"{path} has places to fill in; the application sends it"
        )
        return None
    return text or None


@dataclass(frozen=True, slots=True)
class _Models:
    """Finds what a variant's model is, and where it is asked."""

    models: Mapping[str, Any]
    folder: Path
    place: str
    imported: Imported

    def entry(self, model: str) -> dict[str, Any] | None:
        """Return the keys of an arm that is this model; None, and a note, where it cannot be asked."""
        access = self.access(model)
        if access is not None:
            self.imported.without_window.append(model)
            return {**access, "price": "unknown", "context_window_tokens": WINDOW}
        return None

    def access(self, model: str) -> dict[str, Any] | None:
        """Return the model's id, and where and with which key it is asked."""
        kind, short, name = model.partition("::")
        if short:
            providers: Sequence[Mapping[str, Any]] = [{"type": kind, "model_name": name}]
        else:
            given = dict(self.models.get(model) or {})
            named = dict(given.get("providers") or {})
            providers = [named[key] for key in given.get("routing") or named if key in named]
        entries = [entry for provider in providers if (entry := self._provider(provider)) is not None]
        if not entries:
            self.imported.note(self.place, f"model {model!r} has no provider that takes OpenAI's requests with a key")
            return None
        replicas = [entry for entry in entries if _without_server(entry) == _without_server(entries[0])]
        if len(replicas) < len(providers):
            others = len(providers) - len(replicas)
            self.imported.note(self.place, f"{others} more provider(s) of {model!r}: make each an arm of its own")
        return {**entries[0], "endpoints": [url for entry in replicas for url in entry["endpoints"]]}

    def _provider(self, keys: Mapping[str, Any]) -> dict[str, Any] | None:
        name, variable = _TYPES.get(str(keys.get("type")), (str(keys.get("type")), None))
        if name not in PROVIDERS:
            return None
        server = place_of(PROVIDERS[name], keys.get("api_base") or keys.get("endpoint"))
        model = keys.get("model_name") or keys.get("deployment_id")
        if server is None or not model:
            return None
        location = str(keys.get("api_key_location") or "")
        if location.startswith("env::"):
            variable = location.removeprefix("env::")
        elif location == "none":
            variable = None
        elif keys.get("api_base") is None or variable is not None:  # no other server gets the provider's own key
            variable = variable or PROVIDERS[name].key_env
        entry: dict[str, Any] = {"endpoints": [server[0]], "model": model}
        if variable:
            self.imported.set_in_environment.add(variable)
            entry |= {"headers": {"api-key": f"${{{variable}}}"}} if name == "azure" else {"api_key_env": variable}
        path = f"/openai/deployments/{model}/chat/completions?api-version=2024-10-21" if name == "azure" else server[1]
        return {**entry, **({"quirks": {"chat_path": path}} if path else {})}


def _without_server(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "endpoints"}


def _probabilities(variants: Mapping[str, Any], experiment: Mapping[str, Any]) -> dict[str, float]:
    """Return with which probability each variant was drawn; nothing where they changed while it ran.

    Without an experiment, positive weights count, and variants without any are asked only if these fail; where none has
    a weight, all are as probable.
    """
    kind = experiment.get("type", "uniform" if experiment else None)
    if kind in ("adaptive", "track_and_stop"):
        return {}
    if kind is not None:
        given = experiment.get("candidate_variants") or list(variants)
        weights = dict(given) if isinstance(given, Mapping) else dict.fromkeys(given, 1.0)
    else:
        weights = {name: keys["weight"] for name, keys in variants.items() if keys.get("weight") is not None}
        weights = weights or dict.fromkeys(variants, 1.0)
    positive = {name: float(weight) for name, weight in weights.items() if float(weight) > 0}
    return {name: weight / sum(positive.values()) for name, weight in positive.items()}


def _add_metrics(metrics: dict[str, Any], imported: Imported) -> None:
    """Carry over metrics; they come in at the same address as there, `POST /feedback`."""
    ours: dict[str, Any] = {}
    for name, given in metrics.items():
        with reading(f"metrics.{name}"):
            keys = dict(given)
        kind, direction = keys.get("type"), {"max": "higher", "min": "lower"}.get(keys.get("optimize", "max"))
        if not isinstance(kind, str) or kind not in ("boolean", "float") or direction is None:
            imported.note(
                f"metrics.{name}", f"type {kind!r}, optimize {keys.get('optimize')!r}: there is no such metric here"
            )
            continue
        ours[name] = {"kind": kind, "direction": direction}
        if kind == "float":
            imported.note(f"metrics.{name}", "is taken to go from 0 to 1: say low and high if it does not")
    if ours:
        imported.config["feedback"] = {"metrics": ours}


def _add_embeddings(models: dict[str, Any], folder: Path, imported: Imported) -> None:
    for name in models:
        entry = _Models(models, folder, f"embedding_models.{name}", imported).access(name)
        if entry is None or "quirks" in entry:
            continue
        imported.by_name[free_name(name, {*imported.arms, *imported.by_name})] = {"serves": ["embeddings"], **entry}
