"""LiteLLM's `model_list`: each deployment as an arm, or as a model that is asked by its name.

Looked at: docs.litellm.ai, "Config.yaml", "Load balancing" and "Provider budget routing", as of November 2026.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from highwayman.serving.cli.imports.imported import WINDOW, Imported, free_name, reading
from highwayman.serving.cli.imports.providers import PROVIDERS, place_of

_ENV: Final = "os.environ/"
_NO_KEYS: Final = frozenset({"", "none", "empty", "fake", "fake-key", "dummy", "not-needed", "anything"})
_ALIASES: Final = {  # LiteLLM's name for a provider -> ours, and where its variable has another name
    "hosted_vllm": ("vllm", None),
    "vllm": ("vllm", None),
    "openai_like": ("own", None),
    "custom_openai": ("own", None),
    "lm_studio": ("own", None),
    "llamafile": ("own", None),
    "litellm_proxy": ("own", None),
    "ollama_chat": ("ollama", None),
    "together_ai": ("together", "TOGETHERAI_API_KEY"),
    "fireworks_ai": ("fireworks", "FIREWORKS_AI_API_KEY"),
}
_FOREIGN: Final = frozenset(  # do not take a chat of OpenAI's with a key in its header
    {"bedrock", "vertex_ai", "vertex_ai_beta", "sagemaker", "sagemaker_chat", "cohere", "cohere_chat", "huggingface",
     "watsonx", "oci", "snowflake", "replicate", "predibase", "nlp_cloud", "petals", "github_copilot", "databricks"}
)  # fmt: skip
_CHATS: Final = ("chat", "completion", "responses")
_AZURE_VERSION: Final = "2024-10-21"
_SENSES: Final = {"image": "supports_vision", "audio": "supports_audio_input"}
_PRICES: Final = {
    "usd_per_mtok_in": "input_cost_per_token",
    "usd_per_mtok_out": "output_cost_per_token",
    "usd_per_mtok_cached_in": "cache_read_input_token_cost",
}
_SERVES: Final = {"embedding": "embeddings", "audio_transcription": "transcriptions", "audio_speech": "speech"}
_REASONS: Final = {
    **dict.fromkeys(
        ("rpm", "tpm", "max_parallel_requests"),
        "arms have no limit of their own; keys and tenants have (docs/how-to/keys.md)",
    ),
    "weight": "who is asked how often is learned, not given",
    "order": "who is asked first is learned, not given",
    **dict.fromkeys(("timeout", "stream_timeout"), "one for all arms (limits.first_byte_s, docs/reference/limits.md)"),
    "max_retries": "another arm or replica is asked instead (docs/explanation/failures.md)",
    **dict.fromkeys(
        ("max_budget", "budget_duration"), "budgets are of all arms together (docs/explanation/budgets.md)"
    ),
    "tags": "rules choose arms by tags of the request (docs/how-to/write_a_policy.md)",
}


@dataclass(slots=True)
class _Deployment:
    group: str
    serves: str | None  # None: chats
    entry: dict[str, Any]  # all of the arm's keys but where its servers are
    endpoint: str
    place: str  # in the file

    def is_replica_of(self, other: "_Deployment") -> bool:
        """Whether only the server is another one."""
        return (self.group, self.serves, self.entry) == (other.group, other.serves, other.entry)


def add_models(models: list[Any], imported: Imported) -> None:
    """Put the deployments of a `model_list` into a pool; a group's that differ only in their server are one arm."""
    arms: list[tuple[_Deployment, list[str]]] = []
    for deployment in _deployments(models, imported):
        urls = next((urls for arm, urls in arms if deployment.is_replica_of(arm)), None)
        if urls is None:
            arms.append((deployment, [deployment.endpoint]))
        elif deployment.endpoint not in urls:
            urls.append(deployment.endpoint)
    for deployment, urls in arms:
        name = free_name(deployment.group, {*imported.arms, *imported.by_name})
        if name != deployment.group:
            imported.note(
                deployment.place,
                f"is the arm {name!r}, as a name stands for one arm; who asks for `auto` may be answered by any",
            )
        if deployment.serves is None:
            imported.arms[name] = {"endpoints": urls, **deployment.entry}
        else:
            imported.by_name[name] = {"serves": [deployment.serves], "endpoints": urls, **deployment.entry}


def _deployments(models: list[Any], imported: Imported) -> Iterator[_Deployment]:
    for number, model in enumerate(models):
        with reading(f"model_list[{number}]"):
            deployment = _read_deployment(f"model_list[{number}]", dict(model), imported)
        if deployment is not None:
            yield deployment


def _read_deployment(place: str, rest: dict[str, Any], imported: Imported) -> _Deployment | None:
    params, info = dict(rest.pop("litellm_params", None) or {}), dict(rest.pop("model_info", None) or {})
    group = str(rest.pop("model_name", None) or params.get("model") or "")
    place = f"{place} ({group})"
    if not isinstance(params.get("model"), str) or not group:
        imported.note(place, "has no litellm_params.model, so nobody knows what it is")
        return None
    deployment = _DeploymentReader(place, group, params, info, imported).deployment()
    if deployment is not None:
        imported.note_rest(place, {**params, **rest}, _REASONS)
    return deployment


@dataclass(frozen=True, slots=True)
class _DeploymentReader:
    """Reads one deployment; what it carries over is taken out of `params`."""

    place: str
    group: str
    params: dict[str, Any]
    info: dict[str, Any]
    imported: Imported

    def deployment(self) -> _Deployment | None:
        """Return the deployment; None, and a note, where it cannot be asked."""
        mode = self.info.get("mode", "chat")
        name, model = self._provider()
        if why := self._why_not(mode, name):
            self._note(why)
            return None
        provider = PROVIDERS[name]
        api_base = _value(self.params.pop("api_base", None) or self.params.pop("base_url", None))
        server = place_of(provider, api_base)
        if server is None:
            self._note("has no api_base, or one in an environment variable that is not set here")
            return None
        # What the provider's own variable holds is sent to no other server unless the file says so.
        usual = provider.key_env if api_base is None or name == "azure" else None
        entry = {"model": model, **self._access(name, usual)}
        self.params.pop("model")
        return self._chat(name, entry, *server) if mode in _CHATS else self._by_name(_SERVES[mode], entry, *server)

    def _why_not(self, mode: str, name: str) -> str | None:
        """Return why a model of this mode and provider cannot be asked, None where it can."""
        if "*" in self.group or "*" in self.params["model"]:
            return "names every model of a provider; give the ones you mean a place of their own"
        if mode not in _CHATS and mode not in _SERVES:
            return f"mode {mode!r} is not served here"
        if name in PROVIDERS:
            return None
        known = f"{name!r} does not take OpenAI's requests with a key" if name else "its provider cannot be told"
        return f"{known}; put a server that does before it, such as the provider's own gateway"

    def _note(self, why: str) -> None:
        self.imported.note(self.place, why)

    def _chat(self, name: str, entry: dict[str, Any], endpoint: str, path: str | None) -> _Deployment:
        if name == "azure":
            version = self.params.pop("api_version", None) or _AZURE_VERSION
            path = f"/openai/deployments/{entry['model']}/chat/completions?api-version={version}"
        if name == "anthropic":
            self._note("is asked by its provider's route for OpenAI's clients, which has no prompt caching")
        entry = {**entry, **self._prices(), **self._abilities(), **({"quirks": {"chat_path": path}} if path else {})}
        return _Deployment(self.group, None, entry, endpoint, self.place)

    def _by_name(self, serves: str, entry: dict[str, Any], endpoint: str, path: str | None) -> _Deployment | None:
        if path is not None or "api-key" in entry.get("headers", {}):
            self._note("is asked at a path of its own, which a model asked by name cannot have")
            return None
        return _Deployment(self.group, serves, entry, endpoint, self.place)

    def _provider(self) -> tuple[str, str]:
        """Return the provider (LiteLLM's name, where it is foreign; empty: unknown) and the model's own id."""
        given = str(self.params["model"])
        prefix, _, model = given.partition("/")
        custom = self.params.pop("custom_llm_provider", None)
        name = custom or prefix
        if custom is None and prefix not in {*PROVIDERS, *_ALIASES, *_FOREIGN}:
            is_openai = bool(self.params.get("api_base")) or given.startswith(("gpt", "o1", "o3", "o4", "chatgpt"))
            return ("openai" if is_openai else ""), given
        return _ALIASES.get(name, (name, None))[0], model if prefix == name else given

    def _access(self, name: str, usual: str | None) -> dict[str, Any]:
        """Return with which key and headers its server is asked; a key itself is never written down."""
        headers = dict(self.params.pop("extra_headers", None) or {})
        if organization := self.params.pop("organization", None):
            headers["openai-organization"] = organization
        sent = {key: self._header(str(value)) for key, value in headers.items()}
        variable = self._key_variable(usual)
        if variable is None:
            return {"headers": sent} if sent else {}
        self.imported.set_in_environment.add(variable)
        if name == "azure":  # which takes its keys in a header of its own
            return {"headers": {**sent, "api-key": f"${{{variable}}}"}}
        return {"api_key_env": variable, **({"headers": sent} if sent else {})}

    def _key_variable(self, usual: str | None) -> str | None:
        """Return the environment variable that holds the key, None where there is none."""
        given, prefix = self.params.pop("api_key", None), self.params["model"].partition("/")[0]
        usual = usual and (_ALIASES.get(prefix, ("", None))[1] or usual)
        if given is None:
            return usual
        if str(given).startswith(_ENV):
            return str(given).removeprefix(_ENV)
        if str(given).lower() in _NO_KEYS:
            return None
        variable = usual or re.sub(r"\W", "_", f"KEY_OF_{self.group}").upper()
        self._note(f"its api_key stood in the file in the clear; put it into the environment as {variable}")
        return variable

    def _header(self, value: str) -> str:
        if not value.startswith(_ENV):
            return value
        self.imported.set_in_environment.add(value.removeprefix(_ENV))
        return f"${{{value.removeprefix(_ENV)}}}"

    def _prices(self) -> dict[str, Any]:
        """Return the prices, in dollars per million tokens, where both are told."""
        told = {ours: self.params.pop(theirs, self.info.get(theirs)) for ours, theirs in _PRICES.items()}
        prices = {key: round(float(value) * 1e6, 9) for key, value in told.items() if value is not None}
        return prices if {"usd_per_mtok_in", "usd_per_mtok_out"} <= prices.keys() else {"price": "unknown"}

    def _abilities(self) -> dict[str, Any]:
        """Return window, modalities, tools and profile."""
        info, params = self.info, self.params
        window = info.get("max_input_tokens") or info.get("max_tokens")
        if window is None:
            self.imported.without_window.append(self.group)
        abilities: dict[str, Any] = {"context_window_tokens": int(window or WINDOW)}
        if seen := [kind for kind, key in _SENSES.items() if info.get(key)]:
            abilities["modalities"] = ["text", *seen]
        if "supports_function_calling" in info:
            abilities["tools"] = bool(info["supports_function_calling"])
        profile = {key: params.pop(key) for key in ("max_tokens", "reasoning_effort") if params.get(key) is not None}
        if params.get("temperature") is not None:
            profile["temperature"] = float(params.pop("temperature"))
        if body := params.pop("extra_body", None):
            profile["body"] = body
        return {**abilities, **({"profile": profile} if profile else {})}


def _value(given: Any) -> str | None:
    """Return a text, that of an environment variable where it names one; None where there is none."""
    text = str(given or "")
    return (os.environ.get(text.removeprefix(_ENV)) if text.startswith(_ENV) else text) or None
