"""Reads `pool.yaml` into arms. Nothing else in Highwayman knows the file's format."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from highwayman.env.errors import ConfigError
from highwayman.env.pool.problems import Problem, arm_problems, report, schema_problems
from highwayman.env.pool.schema import ArmEntry, LaunchEntry, NamedModelEntry, PoolEntries, ProfileEntry, QuirksEntry
from highwayman.env.pool.yaml_lines import YamlDocument, read_yaml
from highwayman.env.types import NO_QUIRKS, Arm, ArmState, Profile, Quirks


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """How to start the vLLM server of an arm. Arms of one port share one server."""

    model: str  # a model id, or the path of a folder
    port: int
    dtype: str | None = None
    max_model_len: int | None = None
    lora: Mapping[str, str] = field(default_factory=dict)  # adapter name -> path or id
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model that is asked by its name for what is not decided, such as embeddings."""

    arm: Arm  # without window and prices: nobody counts its tokens
    serves: frozenset[str]  # embeddings, transcriptions, translations, speech


@dataclass(frozen=True, slots=True)
class PoolFile:
    """The arms of a pool file, in its order, and how to launch those that ask for it."""

    arms: tuple[Arm, ...]
    launches: Mapping[str, LaunchSpec]  # arm name -> spec; arms that name no server to launch are absent
    named: tuple[NamedModel, ...] = ()
    entries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # name -> keys, as arms are routed by them


def load_pool(path: Path) -> PoolFile:
    """Return the pool described by the YAML file at `path`.

    Raises:
        ConfigError: the file cannot be read or followed; the message has one line for each problem.
    """
    return _parse(read_yaml(path), path.absolute().parent)


def parse_entries(entries: Mapping[str, Mapping[str, Any]], *, name: str) -> PoolFile:
    """Return the pool of these arms, each with the keys it would have in a pool file.

    Args:
        entries: arm name -> keys.
        name: of where they come from, for messages.

    Raises:
        ConfigError: as `load_pool` does.
    """
    return _parse(YamlDocument(name, {"arms": {arm: dict(entry) for arm, entry in entries.items()}}, None), Path())


def _parse(document: YamlDocument, folder: Path) -> PoolFile:
    """Return the pool of a document; paths in it are relative to `folder`. Raises ConfigError."""
    entries, problems = _entries(document)
    if problems:
        raise ConfigError(report(document, problems))
    launches = {name: _launch(entry.launch, folder) for name, entry in entries.items() if entry.launch}
    # Who says of some arms that they call tools means that the others do not. Where nobody says so, nothing is known.
    otherwise = False if any(entry.tools is True for entry in entries.values()) else None
    arms = tuple(_arm(name, entry, tools=otherwise) for name, entry in entries.items())
    given = PoolEntries.model_validate(document.data).by_name
    routed = {arm.name: _routed(document.data["arms"][arm.name], arm) for arm in arms}
    return PoolFile(arms, launches, tuple(_named(name, entry) for name, entry in given.items()), routed)


def _routed(raw: Mapping[str, Any], arm: Arm) -> dict[str, Any]:
    """Return an arm's keys without how its server is launched, and with what follows from that and from other arms."""
    entry = {key: value for key, value in raw.items() if key not in {"launch", "endpoint"} and value is not None}
    tools = "unknown" if arm.tools is None else arm.tools
    return {**entry, "endpoints": [*arm.endpoints], "context_window_tokens": arm.context_window_tokens, "tools": tools}


def _entries(document: YamlDocument) -> tuple[dict[str, ArmEntry], list[Problem]]:
    """Return the arms that can be followed, and everything that is wrong with the file."""
    problems: list[Problem] = []
    try:
        PoolEntries.model_validate({} if document.data is None else document.data)
    except ValidationError as error:
        problems += schema_problems(document.data, error)
    arms = document.data.get("arms") if isinstance(document.data, dict) else None
    raws = {name: raw for name, raw in (arms if isinstance(arms, dict) else {}).items() if isinstance(raw, dict)}
    for name, raw in raws.items():
        problems += arm_problems(name, raw)
    entries = {name: entry for name, raw in raws.items() if (entry := _valid(raw))}
    return entries, problems + list(_server_problems(entries)) + list(_profile_problems(entries))


def _valid(raw: object) -> ArmEntry | None:
    try:
        return ArmEntry.model_validate(raw)
    except ValidationError:
        return None


def _server_problems(entries: Mapping[str, ArmEntry]) -> Iterator[Problem]:
    """Yield where arms that would share a server, by their port, disagree about it."""
    first: dict[int, tuple[str, LaunchEntry]] = {}
    adapters: dict[tuple[int, str], str] = {}
    for name, launch in ((name, entry.launch) for name, entry in entries.items() if entry.launch):
        owner, other = first.setdefault(launch.port, (name, launch))
        differing = [key for key in LaunchEntry.model_fields if getattr(launch, key) != getattr(other, key)]
        for key in differing:
            if key != "lora":
                text = f"launch.{key} differs from that of arm '{owner}' on the same port {launch.port}"
                yield Problem(("arms", name, "launch", key), f"{text}. One server has one; use another port.")
        for adapter, path in launch.lora.items():
            if adapters.setdefault((launch.port, adapter), path) != path:
                text = (
                    f"launch.lora '{adapter}' is another adapter elsewhere on port {launch.port}. Rename one of them."
                )
                yield Problem(("arms", name, "launch", "lora", adapter), text)


def _profile_problems(entries: Mapping[str, ArmEntry]) -> Iterator[Problem]:
    for name, entry in entries.items():
        window, ceiling = _window(entry), entry.profile.max_tokens
        if window and ceiling and ceiling >= window:
            text = f"profile.max_tokens {ceiling} leaves no room for a prompt in a window of {window} tokens"
            yield Problem(("arms", name, "profile", "max_tokens"), text)


def _arm(name: str, entry: ArmEntry, *, tools: bool | None) -> Arm:
    """Return the arm; `tools` is what holds where the entry says nothing of them."""
    return Arm(
        name=name,
        endpoints=_endpoints(entry),
        model=entry.model,
        usd_per_mtok_cached_in=entry.usd_per_mtok_cached_in,
        usd_per_mtok_in=entry.usd_per_mtok_in,
        usd_per_mtok_out=entry.usd_per_mtok_out,
        context_window_tokens=_window(entry),
        modalities=frozenset(entry.modalities),
        tools=tools if entry.tools is None else None if entry.tools == "unknown" else entry.tools,
        zone=entry.zone,
        tags=dict(entry.tags),
        wh_per_mtok=entry.wh_per_mtok,
        power_url=entry.power_url,
        state=ArmState(entry.state),
        profile=_profile(entry.profile),
        api_key_env=entry.api_key_env,
        headers=dict(entry.headers),
        quirks=_quirks(entry.quirks),
    )


def _named(name: str, entry: NamedModelEntry) -> NamedModel:
    endpoints = tuple(dict.fromkeys(entry.endpoints or [entry.endpoint or ""]))
    key, headers = entry.api_key_env, dict(entry.headers)
    arm = Arm(name, endpoints, entry.model, None, None, 0, api_key_env=key, headers=headers, zone=entry.zone)
    return NamedModel(arm, frozenset(entry.serves))


def _window(entry: ArmEntry) -> int:
    launched = entry.launch.max_model_len if entry.launch else None
    return entry.context_window_tokens or launched or 0  # 0 only where arm_problems has refused the arm


def _endpoints(entry: ArmEntry) -> tuple[str, ...]:
    if entry.endpoints is not None:
        return tuple(dict.fromkeys(entry.endpoints))
    if entry.endpoint is not None:
        return (entry.endpoint,)
    return (f"http://127.0.0.1:{entry.launch.port}",) if entry.launch else ()


def _profile(entry: ProfileEntry) -> Profile:
    return Profile(
        system=entry.system,
        few_shot=tuple((example.user, example.assistant) for example in entry.few_shot),
        temperature=entry.temperature,
        max_tokens=entry.max_tokens,
        best_of=entry.best_of,
        reasoning_effort=entry.reasoning_effort,
        body=dict(entry.body),
    )


def _quirks(entry: QuirksEntry) -> Quirks:
    quirks = Quirks(dict(entry.rename), frozenset(entry.leave_out), entry.chat_path)
    return NO_QUIRKS if quirks == NO_QUIRKS else quirks


def _launch(entry: LaunchEntry, folder: Path) -> LaunchSpec:
    return LaunchSpec(
        model=_located(entry.model, folder),
        port=entry.port,
        dtype=entry.dtype,
        max_model_len=entry.max_model_len,
        lora={name: _located(path, folder) for name, path in entry.lora.items()},
        args=tuple(str(arg) for arg in entry.args),
        env={name: str(value) for name, value in entry.env.items()},
    )


def _located(model: str, folder: Path) -> str:
    """Return a path relative to the pool file, or to the home folder, as an absolute one; a model id as it is."""
    if model.startswith(("./", "../")):
        return str((folder / model).resolve())
    return str(Path(model).expanduser()) if model.startswith("~/") else model
