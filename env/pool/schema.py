"""What `pool.yaml` may say, field by field. What the fields must say together is checked in `problems`."""

import json
import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

RESERVED_NAMES = frozenset({"auto", "auto-cheap", "auto-quality"})
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")  # of the router's environment, in a header's value
_ARM_NAME = r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}"
_OWN_HEADERS = frozenset(
    {"host", "content-type", "content-length", "transfer-encoding", "connection", "accept-encoding"}
)
_OWNED_KEYS = {
    **dict.fromkeys(("model", "messages", "prompt", "stream"), "is the request itself"),
    **dict.fromkeys(("temperature", "max_tokens"), "has a key of its own in the profile"),
    "reasoning_effort": "has a key of its own in the profile",
    "n": "is the caller's; best_of samples several answers",
    "stream_options": "is the router's own: it meters by it",
}
_OWNED_FLAGS = {
    "--port": "port",
    "--model": "launch.model",
    "--served-model-name": "model",
    "--dtype": "launch.dtype",
    "--max-model-len": "launch.max_model_len",
    "--lora-modules": "launch.lora",
}


def arm_name(name: str) -> str:
    """Return `name` if it can stand as a model name in requests, headers and metrics."""
    if name in RESERVED_NAMES:
        raise ValueError(f"'{name}' is an alias callers route by; give the arm another name")
    if not re.fullmatch(_ARM_NAME, name):
        raise ValueError(
            "an arm's name has 1 to 128 letters, digits or any of . _ : / @ + - and starts with the former"
        )
    return name


def base_url(url: str) -> str:
    """Return `url` without a trailing slash or `/v1`: the base every upstream path is put behind."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"'{url}' is no URL: {error}") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError(f"'{url}' is no base URL; one looks like http://10.0.0.1:8000")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a key does not belong in a URL; put it in the environment and name it in api_key_env")
    if parts.query or parts.fragment or re.search(r"\s", url):
        raise ValueError(f"'{url}' must be a base URL, without query, fragment or spaces")
    return url.rstrip("/").removesuffix("/v1").rstrip("/")


def _env_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError("must be the name of an environment variable that holds the key, not the key itself")
    return name


def _no_owned_flag(args: list[str | int | float]) -> list[str | int | float]:
    for arg in args:
        flag = str(arg).split("=", 1)[0].replace("_", "-")
        if flag in _OWNED_FLAGS:
            raise ValueError(f"{flag} is set from `{_OWNED_FLAGS[flag]}`; say it there")
    return args


def _header(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", name):
        raise ValueError("must be the name of a header, such as x-title")
    if name.lower() in _OWN_HEADERS:
        raise ValueError(f"{name} is the router's own to send")
    return name.lower()


def _header_value(value: str) -> str:
    if not (value.isascii() and value.isprintable()):
        raise ValueError("must be one line of ASCII text; ${NAME} in it stands for an environment variable")
    return value


def _not_owned(key: str) -> str:
    if key in _OWNED_KEYS:
        raise ValueError(f"'{key}' {_OWNED_KEYS[key]}")
    return key


def _json_value(value: Any) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError("must be what JSON can say (in quotes, if YAML takes it for a date)") from None
    return value


def _path(path: str) -> str:
    if not re.fullmatch(r"/[!-~]*", path) or "#" in path:
        raise ValueError("must begin with a slash, such as /v2/chat; a query may stand behind it")
    return path


ArmName = Annotated[str, AfterValidator(arm_name)]
BaseUrl = Annotated[str, AfterValidator(base_url)]
NonEmpty = Annotated[str, Field(min_length=1)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[int, Field(ge=1)]
Scalar = str | int | float


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ExampleEntry(_Strict):
    """One worked example, put before the conversation."""

    user: NonEmpty = Field(description="What the example's user says.")
    assistant: NonEmpty = Field(description="What the model should have answered.")


class ProfileEntry(_Strict):
    """How the arm uses its model."""

    system: NonEmpty | None = Field(default=None, description="A system prompt put before the conversation.")
    few_shot: list[ExampleEntry] = Field(default=[], description="Worked examples put before the conversation.")
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = Field(
        default=None, description="A default; the caller's own value wins."
    )
    max_tokens: Positive | None = Field(
        default=None, description="A ceiling; the smaller of this and the caller's counts."
    )
    best_of: Annotated[int, Field(ge=1, le=16)] = Field(
        default=1, description="Answers sampled; the commonest is served."
    )

    reasoning_effort: NonEmpty | None = Field(
        default=None, description="How hard it thinks, in its server's words, e.g. low; the caller's own does not win."
    )
    body: dict[Annotated[str, AfterValidator(_not_owned)], Annotated[Any, AfterValidator(_json_value)]] = Field(
        default={}, description="What else the body of its chats says, e.g. {chat_template_kwargs: {thinking: true}}."
    )

    @model_validator(mode="after")
    def _samples_differ(self) -> Self:
        if self.best_of > 1 and self.temperature == 0:
            raise ValueError(f"best_of {self.best_of} at temperature 0 samples one answer {self.best_of} times")
        return self


class LaunchEntry(_Strict):
    """How `highwayman pool launch` starts the vLLM server of this arm."""

    model: NonEmpty = Field(description="A model id, or a folder; ./ and ../ are relative to the pool file.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(description="The port the server listens on, e.g. 8001.")
    dtype: NonEmpty | None = Field(default=None, description="vLLM's --dtype, e.g. bfloat16.")
    max_model_len: Positive | None = Field(default=None, description="vLLM's --max-model-len, in tokens.")
    lora: dict[NonEmpty, NonEmpty] = Field(default={}, description="LoRA adapters to serve: name to folder or id.")
    args: Annotated[list[Scalar], AfterValidator(_no_owned_flag)] = Field(
        default=[], description="Further arguments of the server, e.g. [--enforce-eager]."
    )
    env: dict[Annotated[str, AfterValidator(_env_name)], Scalar] = Field(
        default={}, description="Further environment variables of the server."
    )


class QuirksEntry(_Strict):
    """What the arm's server does not take as others do."""

    rename: dict[NonEmpty, NonEmpty] = Field(
        default={}, description="Keys, and what they are called there, e.g. {max_tokens: max_completion_tokens}."
    )
    leave_out: list[NonEmpty] = Field(default=[], description="Keys that it refuses, e.g. [stream_options, top_k].")
    chat_path: Annotated[str, AfterValidator(_path)] | None = Field(
        default=None, description="Where it answers chats, behind its base URL; /v1/chat/completions if left out."
    )

    @model_validator(mode="after")
    def _keeps_the_request(self) -> Self:
        for key in ("model", "messages", "prompt", "stream"):
            if key in self.leave_out or key in self.rename:
                raise ValueError(f"'{key}' is the request itself, and stays as it is")
        return self


class ArmEntry(_Strict):
    """One model of the pool, under one profile."""

    endpoint: BaseUrl | None = Field(
        default=None, description="Base URL of the server; or `endpoints` for several replicas."
    )
    endpoints: Annotated[list[BaseUrl], Field(min_length=1)] | None = Field(
        default=None, description="URLs of the replicas."
    )
    model: NonEmpty = Field(description="Give the model's id as the server's /v1/models names it.")
    usd_per_mtok_in: Amount | None = Field(default=None, description="US dollars per million tokens read.")
    usd_per_mtok_out: Amount | None = Field(default=None, description="US dollars per million tokens written.")
    usd_per_mtok_cached_in: Amount | None = Field(
        default=None, description="Of tokens read that the server's prompt cache held; as the others if left out."
    )
    price: Literal["unknown"] | None = Field(default=None, description="`unknown`, in place of the two prices.")
    context_window_tokens: Positive | None = Field(
        default=None, description="Most tokens of prompt and answer together."
    )
    modalities: Annotated[list[Literal["text", "image", "audio", "video", "file"]], Field(min_length=1)] = Field(
        default=["text"], description="What it can read."
    )
    tools: bool | Literal["unknown"] | None = Field(
        default=None, description="Whether it can call tools; `unknown`: it is tried, and its answers tell."
    )
    zone: NonEmpty = Field(default="default", description="Its trust zone, to which rules of privacy refer.")
    tags: dict[NonEmpty, str] = Field(default={}, description="Free labels, e.g. {region: eu}.")
    wh_per_mtok: Amount | None = Field(default=None, description="Watt-hours per million tokens, if known.")
    power_url: BaseUrl | None = Field(
        default=None, description="URL that tells the watts of all that serves it, such as NVIDIA's DCGM exporter."
    )
    state: Literal["active", "probation", "draining"] = Field(default="active", description="Whether it takes traffic.")
    profile: ProfileEntry = Field(default=ProfileEntry(), description="How it uses its model.")
    api_key_env: Annotated[str, AfterValidator(_env_name)] | None = Field(
        default=None, description="Name of the environment variable that holds the server's API key."
    )
    headers: dict[Annotated[str, AfterValidator(_header)], Annotated[str, AfterValidator(_header_value)]] = Field(
        default={}, description="Sent to its server; ${NAME} in one stands for an environment variable."
    )
    quirks: QuirksEntry = Field(default=QuirksEntry(), description="What its server does not take as others do.")
    launch: LaunchEntry | None = Field(default=None, description="How `highwayman pool launch` starts its server.")


class NamedModelEntry(_Strict):
    """A model that is asked by its name, for what is not decided: its requests pass through as they come."""

    serves: Annotated[list[Literal["embeddings", "transcriptions", "translations", "speech"]], Field(min_length=1)] = (
        Field(description="Which routes it answers, such as [embeddings].")
    )
    endpoint: BaseUrl | None = Field(
        default=None, description="Base URL of the server; or `endpoints` for several replicas."
    )
    endpoints: Annotated[list[BaseUrl], Field(min_length=1)] | None = Field(
        default=None, description="URLs of the replicas."
    )
    model: NonEmpty = Field(description="Give the model's id as the server knows it.")
    zone: NonEmpty = Field(default="default", description="Its trust zone, to which rules of privacy refer.")
    api_key_env: Annotated[str, AfterValidator(_env_name)] | None = Field(
        default=None, description="Name of the environment variable that holds the server's API key."
    )
    headers: dict[Annotated[str, AfterValidator(_header)], Annotated[str, AfterValidator(_header_value)]] = Field(
        default={}, description="Sent to its server; ${NAME} in one stands for an environment variable."
    )

    @model_validator(mode="after")
    def _has_a_server(self) -> Self:
        if (self.endpoint is None) == (self.endpoints is None):
            raise ValueError("give its server's base URL as `endpoint`, or those of several replicas as `endpoints`")
        return self


class PoolEntries(_Strict):
    """The models Highwayman routes to."""

    arms: Annotated[dict[ArmName, ArmEntry], Field(min_length=1)] = Field(description="Name to arm.")
    by_name: dict[ArmName, NamedModelEntry] = Field(
        default={}, description="Name to a model that is asked by name, such as one for embeddings."
    )

    @model_validator(mode="after")
    def _no_name_twice(self) -> Self:
        for name in self.arms.keys() & self.by_name.keys():
            raise ValueError(f"'{name}' is an arm's name and one under by_name; give one of them another name")
        return self


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of `pool.yaml`, for editors."""
    schema = PoolEntries.model_json_schema()
    arm = schema["$defs"]["ArmEntry"]
    arm["allOf"] = [
        {"oneOf": [{"required": ["endpoint"]}, {"required": ["endpoints"]}, _only_launch()]},
        {"oneOf": [{"required": ["usd_per_mtok_in", "usd_per_mtok_out"]}, {"required": ["price"]}]},
        {"anyOf": [{"required": ["context_window_tokens"]}, {"required": ["launch"]}]},
    ]
    schema["properties"]["arms"]["propertyNames"] = {
        "pattern": f"^{_ARM_NAME}$",
        "not": {"enum": sorted(RESERVED_NAMES)},
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Highwayman pool"} | {
        key: value for key, value in schema.items() if key != "title"
    }


def _only_launch() -> dict[str, Any]:
    urls = [{"required": ["endpoint"]}, {"required": ["endpoints"]}]
    return {"required": ["launch"], "not": {"anyOf": urls}}
