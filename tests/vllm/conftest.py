"""A real pool of two vLLM servers, and the router in front. Run by `make test-vllm`, which makes the models."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
import yaml

from highwayman.serving.processes.vllm_launch import find_devices

STARTING_S = 420  # one core each, and another test run beside it
HIGHWAYMAN = str(Path(sys.executable).with_name("highwayman"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave these tests to `make test-vllm`: they need an interpreter with vLLM, and minutes."""
    if os.environ.get("HIGHWAYMAN_VLLM") != "1":
        here = Path(__file__).parent
        for item in items:
            if item.path.is_relative_to(here):
                item.add_marker(pytest.mark.skip(reason="make test-vllm runs it"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def launch_entry(model: Path, port: int, index: int) -> dict[str, object]:
    entry: dict[str, object] = {"model": str(model), "port": port, "dtype": "bfloat16", "max_model_len": 2048}
    gpus = find_devices(os.environ).gpus
    if gpus:  # small models: let them share one, if there is only one
        args = ["--enforce-eager", "--gpu-memory-utilization", 0.3]
        return entry | {"args": args, "env": {"CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)]}}
    return entry | {"args": ["--enforce-eager"], "env": {"VLLM_CPU_KVCACHE_SPACE": 1}}


def pool_entries(models: Path, smollm2: int, tiny: int) -> dict[str, dict[str, object]]:
    """Return the arms: SmolLM2, a tiny random Llama, and the same under a LoRA adapter."""
    prices = {"usd_per_mtok_in": 0.01, "usd_per_mtok_out": 0.02}
    shared = launch_entry(models / "tiny-llama/model", tiny, 1)
    adapter = str(models / "tiny-llama/lora")
    return {
        "smollm2": {"model": "smollm2-135m", **prices, "launch": launch_entry(models / "smollm2-135m", smollm2, 0)},
        "tiny": {"model": "tiny-llama", **prices, "launch": shared},
        "tiny-lora": {"model": "noise", **prices, "launch": shared | {"lora": {"noise": adapter}}},
    }


@pytest.fixture(scope="session")
def pool_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield the file of a pool that `highwayman pool launch` has started and warmed up."""
    folder = tmp_path_factory.mktemp("vllm")
    file = folder / "pool.yaml"
    arms = pool_entries(Path(os.environ["HIGHWAYMAN_MODELS"]), free_port(), free_port())
    file.write_text(yaml.safe_dump({"arms": arms}, sort_keys=False))
    argv = [HIGHWAYMAN, "pool", "launch", str(file), "--log-folder", str(folder), "--ready-within", str(STARTING_S)]
    launcher = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = said_until(launcher, "pool ready")
        assert "pool ready: 3 arms on 2 servers" in said, said
        yield file
    finally:
        launcher.terminate()
        print(launcher.communicate(timeout=60)[0])


def said_until(process: "subprocess.Popen[str]", start: str) -> str:
    """Return what `process` said up to a line that starts so, or up to its end."""
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith(start):
            break
    return said


@pytest.fixture(scope="session")
def router(pool_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the base URL of a router in front of the pool, with a store of its own."""
    folder = tmp_path_factory.mktemp("router")
    port = free_port()
    argv = [HIGHWAYMAN, "serve", "--pool", str(pool_file), "--host", "127.0.0.1", "--port", str(port)]
    homes = {name: str(folder) for name in ("XDG_STATE_HOME", "XDG_DATA_HOME")}
    environment = {name: value for name, value in os.environ.items() if name != "REDIS_URL"} | homes
    log = (folder / "router.log").open("w+")
    process = subprocess.Popen([*argv, "--encoder", "static"], env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while not answers(f"http://127.0.0.1:{port}/readyz"):
            ended = process.poll() is not None or time.monotonic() > deadline
            assert not ended, (folder / "router.log").read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)
        log.close()


@pytest.fixture(scope="session")
def client(router: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{router}/v1", api_key="none", max_retries=0, timeout=120)
