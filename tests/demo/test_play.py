"""The demonstration against a real router; only the models' answers are scripted."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from highwayman.demo.command import DemoOptions, conclude, run
from highwayman.demo.play import compared_rounds
from highwayman.demo.questions.prompts import KINDS, generate
from highwayman.demo.rounds import RunSettings
from highwayman.env.types import ArmState
from highwayman.serving.cli.main import main
from tests.ports import free_port
from tests.serving.running_router import Router, arm, running_router
from tests.upstream_server import Say, ScriptedUpstream

ROUNDS = 30
ANSWERS = {prompt.text: prompt.expected.split("|")[0] for prompt in generate(ROUNDS, seed=7)}


def right(body: dict[str, Any]) -> str:
    return ANSWERS[body["messages"][-1]["content"]]


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as server:
        server.script("knows-upstream", Say(right))
        server.script("guesses-upstream", Say("Who can tell?"))
        yield server


@pytest.fixture
async def router(upstream: ScriptedUpstream, valkey_url: str, namespace: str) -> AsyncIterator[Router]:
    drained = replace(arm("drained", upstream.url, price=0.1), state=ArmState.DRAINING)  # is not asked, and not missed
    arms = [arm("knows", upstream.url, price=0.2), arm("guesses", upstream.url, price=0.1), drained]
    async with running_router(arms, valkey_url, namespace) as started:
        yield started


def options(url: str, out: Path) -> DemoOptions:
    return DemoOptions(url, None, None, seed=7, rounds=ROUNDS, concurrency=3, points_per_usd=None, out=out, fresh=False)


async def test_a_run_grades_thumbs_its_own_choices_only_and_reports(
    router: Router, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    console = Console(record=True, width=120)
    chosen_options = options(router.url, tmp_path)
    journal, points_per_usd = await run(chosen_options, console)
    compared = compared_rounds(RunSettings(7, ROUNDS, ("knows", "guesses")))
    assert [one.index for one in journal.rounds] == list(range(ROUNDS))
    assert all(one.chosen.quality == float(one.chosen.arm == "knows") for one in journal.rounds)
    assert {one.index for one in journal.rounds if one.every_arm} == compared
    assert len(upstream.requests) == ROUNDS + len(compared)  # the chosen arm is not asked twice
    thumbs = sum(one.chosen.arm == "knows" for one in journal.rounds)
    await router.policy_until("knows", feedback=thumbs)
    await router.policy_until("guesses", feedback=ROUNDS - thumbs)
    for one in journal.rounds:
        decision = await router.decision(one.decision)
        assert decision["feedback"][0]["value"] == one.chosen.quality
    conclude(journal, chosen_options, console, points_per_usd=points_per_usd)
    assert "the best fixed arm (always knows)" in " ".join(console.export_text().split())
    page = (tmp_path / "seed-7.html").read_text()
    assert page.count("data-chart=") == 2
    assert page.count("badge good") == len(KINDS)  # the best arm of each kind is marked
    assert 'src="' not in page  # self-contained
    assert 'href="http' not in page


def test_without_a_router_the_command_says_how_to_start_one() -> None:
    ended = CliRunner().invoke(main, ["demo", "--url", f"http://127.0.0.1:{free_port()}"])
    assert ended.exit_code == 1
    assert "no router answers" in ended.output
    assert "highwayman up" in ended.output


async def test_a_finished_run_asks_nothing_again(router: Router, upstream: ScriptedUpstream, tmp_path: Path) -> None:
    first, _ = await run(options(router.url, tmp_path), Console(quiet=True))
    asked = len(upstream.requests)
    second, _ = await run(options(router.url, tmp_path), Console(quiet=True))
    assert second.rounds == first.rounds
    assert len(upstream.requests) == asked
