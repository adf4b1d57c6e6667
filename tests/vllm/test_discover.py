import subprocess
import sys
from pathlib import Path

import pytest

from highwayman.env.pool.pool_file import load_pool

pytestmark = pytest.mark.vllm


def test_discover_finds_models_and_the_adapter_with_its_parent_and_window(pool_file: Path, tmp_path: Path) -> None:
    smollm2, tiny = (load_pool(pool_file).arms[index].endpoints[0] for index in (0, 1))
    found = tmp_path / "pool.yaml"
    command = [
        str(Path(sys.executable).with_name("highwayman")),
        "pool",
        "discover",
        smollm2,
        tiny,
        "--out",
        str(found),
    ]
    subprocess.run(command, check=True, timeout=60)
    arms = {arm.name: arm for arm in load_pool(found).arms}
    assert list(arms) == ["smollm2-135m", "tiny-llama", "noise"]
    assert {arm.context_window_tokens for arm in arms.values()} == {2048}
    assert arms["noise"].endpoints == (tiny,)
    assert [dict(arm.tags) for arm in arms.values()] == [{}, {}, {"lora_of": "tiny-llama"}]
