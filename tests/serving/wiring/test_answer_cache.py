"""The parts that give answers again, as a configuration wants them."""

from pathlib import Path

import pytest

from highwayman.env.errors import ConfigError
from highwayman.serving.config.config import Config
from highwayman.serving.services import build_services
from highwayman.serving.wiring.settings import Settings
from tests.serving.running_router import arm


async def test_an_arm_of_the_pool_may_not_have_the_name_of_the_one_that_gives_stored_answers(
    valkey_url: str, namespace: str, tmp_path: Path
) -> None:
    settings = Settings(
        (arm("cache", "http://127.0.0.1:9"),),
        valkey_url,
        Config.model_validate({"namespace": namespace, "answer_cache": {}}),
        state=tmp_path,
    )
    with pytest.raises(ConfigError, match="the pool has an arm 'cache'"):
        async with build_services(settings):
            pass
