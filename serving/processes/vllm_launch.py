"""Says which vLLM servers a pool asks for: each one's command, environment and device. Starts nothing."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from highwayman.env.errors import ConfigError
from highwayman.env.pool.pool_file import LaunchSpec, PoolFile

_MODULE = "vllm.entrypoints.openai.api_server"  # the `vllm` command does not start on its CPU builds
_GPU_VARIABLE = "CUDA_VISIBLE_DEVICES"
_CPU_VARIABLE = "VLLM_CPU_OMP_THREADS_BIND"


@dataclass(frozen=True, slots=True)
class Devices:
    """What the servers of one machine share: its GPUs, or else its cores."""

    gpus: tuple[str, ...]  # indices or UUIDs, as CUDA_VISIBLE_DEVICES takes them
    cores: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class VllmServer:
    """One vLLM server to run."""

    port: int
    arms: tuple[str, ...]
    models: tuple[str, ...]  # the names it serves, adapters after the model itself
    argv: tuple[str, ...]
    env: Mapping[str, str]  # on top of the launcher's own
    api_key_env: str | None = None

    @property
    def url(self) -> str:
        """The base URL at which the launcher watches it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def label(self) -> str:
        """The server's name in messages and of its log."""
        return f"vllm-{self.port}"


def find_devices(environment: Mapping[str, str], *, dev: Path = Path("/dev")) -> Devices:
    """Return the GPUs this process may use, in the order of `environment` or of `dev`, and its cores."""
    chosen = environment.get(_GPU_VARIABLE)
    if chosen is not None:
        gpus = [gpu.strip() for gpu in chosen.split(",") if gpu.strip() not in {"", "-1"}]
    else:
        nodes = (path.name.removeprefix("nvidia") for path in dev.glob("nvidia[0-9]*"))
        gpus = sorted((node for node in nodes if node.isdigit()), key=int)
    return Devices(tuple(gpus), tuple(sorted(os.sched_getaffinity(0))))


def plan_servers(pool: PoolFile, devices: Devices, *, python: str) -> tuple[VllmServer, ...]:
    """Return the servers of `pool`, each with a device of its own; arms of one port share a server.

    Args:
        pool: the arms, and how to launch those that ask for it.
        devices: what the servers may use. A server whose `env` names its device is left to it.
        python: the interpreter that has vllm.

    Raises:
        ConfigError: no arm asks to be launched, or there are more servers than GPUs.
    """
    groups: dict[int, list[str]] = {}
    for name, spec in pool.launches.items():
        groups.setdefault(spec.port, []).append(name)
    if not groups:
        raise ConfigError("no arm has a `launch` entry, so there is no server to start.")
    unplaced = [port for port, names in groups.items() if not _placed(pool.launches[names[0]], devices)]
    places = dict(zip(unplaced, _shares(devices, len(unplaced)), strict=True))
    return tuple(_server(pool, names, python, places.get(port, {})) for port, names in groups.items())


def _placed(spec: LaunchSpec, devices: Devices) -> bool:
    return (_GPU_VARIABLE if devices.gpus else _CPU_VARIABLE) in spec.env


def _shares(devices: Devices, servers: int) -> list[dict[str, str]]:
    """Return for each of `servers` the variable that keeps it to its own GPU or cores."""
    if devices.gpus:
        if servers > len(devices.gpus):
            text = f"{servers} servers want a GPU each, and there are {len(devices.gpus)}."
            raise ConfigError(f"{text} To share one, name it in their launch.env: {{{_GPU_VARIABLE}: '0'}}.")
        return [{_GPU_VARIABLE: gpu} for gpu in devices.gpus[:servers]]
    cores = devices.cores
    cores_per_server = max(1, len(cores) // max(1, servers))
    chunks = [
        cores[start : start + cores_per_server]
        for start in range(0, cores_per_server * (len(cores) // cores_per_server), cores_per_server)
    ]
    return [{_CPU_VARIABLE: ",".join(map(str, chunks[server % len(chunks)]))} for server in range(servers)]


def _server(pool: PoolFile, names: Sequence[str], python: str, device_env: Mapping[str, str]) -> VllmServer:
    arms = [arm for arm in pool.arms if arm.name in names]
    spec = pool.launches[names[0]]
    lora = {name: path for arm in names for name, path in pool.launches[arm].lora.items()}
    served = list(dict.fromkeys(arm.model for arm in arms if arm.model not in lora)) or [spec.model]
    keys = {arm.api_key_env for arm in arms if arm.api_key_env}
    if len(keys) > 1:
        raise ConfigError(f"port {spec.port}: one server has one key, but its arms name {' and '.join(sorted(keys))}.")
    return VllmServer(
        port=spec.port,
        arms=tuple(names),
        models=(*served, *lora),
        argv=(python, "-m", _MODULE, *_arguments(spec, served, lora)),
        env={**device_env, **spec.env},
        api_key_env=keys.pop() if keys else None,
    )


def _arguments(spec: LaunchSpec, served: Sequence[str], lora: Mapping[str, str]) -> list[str]:
    arguments = ["--host", "127.0.0.1", "--port", str(spec.port), "--model", spec.model]
    arguments += ["--served-model-name", *served]
    if spec.dtype is not None:
        arguments += ["--dtype", spec.dtype]
    if spec.max_model_len is not None:
        arguments += ["--max-model-len", str(spec.max_model_len)]
    if lora:
        arguments += ["--enable-lora", "--lora-modules", *(f"{name}={path}" for name, path in lora.items())]
    return [*arguments, *spec.args]
