"""A cascade of the local pool's arms: real answers, with real log probabilities, looked at before anybody sees them."""

from dataclasses import replace
from pathlib import Path

import pytest

from highwayman.env.pool.pool_file import load_pool
from highwayman.env.types import Arm, Profile
from highwayman.serving.processes.local_pool import local_pool_yaml, start_local_pool
from tests.serving.running_router import ask, running_router

CHAT = "/v1/chat/completions"
EASY, HARD = "Name the capital city of Italy.", "How many coins are 15 coins and 9 coins?"
SIGNALS = ["Logprobs", "Refusal", "Verification"]


def arms(url: str, folder: Path) -> list[Arm]:
    """The model as it is, and with worked examples of sums, at ten times the price."""
    (folder / "pool.yaml").write_text(local_pool_yaml(url))
    by_name = {arm.name: arm for arm in load_pool(folder / "pool.yaml").arms}
    dear = replace(by_name["abacus"], usd_per_mtok_in=0.07, usd_per_mtok_out=1.55)
    return [replace(by_name["plain"], profile=Profile(temperature=0.0, max_tokens=64)), dear]


@pytest.mark.timeout(180)
async def test_an_easy_query_is_answered_by_the_cheap_arm_alone_and_a_hard_one_goes_on_told_stage_by_stage(
    valkey_url: str, namespace: str, tmp_path: Path
) -> None:
    cascade = {"gate": {"signal": "token_logprob", "threshold": -0.45}, "signals": SIGNALS, "floor": 0.0}
    config = {"cascade": cascade, "policy": {"floor": 0.0}}
    async with (
        await start_local_pool() as pool,
        running_router(arms(pool.url, tmp_path), valkey_url, namespace, config=config) as router,
    ):
        told = {}
        for text in (EASY, HARD):
            _, answer, headers = await router.post(CHAT, ask(text, max_tokens=24))
            told[text] = await router.decision(headers["x-highwayman-decision"])
            told[text]["text"] = answer["choices"][0]["message"]["content"]
            assert answer["choices"][0].get("logprobs") is None
    assert "Rome" in told[EASY]["text"]
    assert "24" in told[HARD]["text"]
    (sure,), (unsure,) = (told[text]["outcome"]["stages"] for text in (EASY, HARD))
    assert [(stage["arm"], stage["went_on"]) for stage in (sure, unsure)] == [("plain", False), ("plain", True)]
    assert [told[text]["outcome"]["arm"] for text in (EASY, HARD)] == ["plain", "abacus"]
    assert unsure["signals"]["token_logprob"] < -0.45 < sure["signals"]["token_logprob"] < 0.0
    for stage in (sure, unsure):
        assert {"first_margin", "entropy", "refusal", "verified"} <= set(stage["signals"])
        assert 0.0 < stage["signals"]["verified"] < 1.0  # by log probabilities, not by a word
        alone = (0.007 * stage["tokens_in"] + 0.155 * stage["tokens_out"]) * 1e-6
        assert alone < stage["cost_usd"] < alone + 1e-5  # the question is paid
    assert told[HARD]["outcome"]["cost_usd"] > unsure["cost_usd"]
