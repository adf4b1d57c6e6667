"""Which configuration, namespace and lineage a command speaks of: what routers announced, or what it is told."""

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as aioredis
from click.testing import CliRunner, Result

from highwayman.env.tasks import cancel_and_wait
from highwayman.feedback.log.config_events import record_config_change
from highwayman.feedback.log.store import Keys, Store
from highwayman.serving.cli.context import LogOptions
from highwayman.serving.cli.main import main
from highwayman.serving.config.config import load_config
from highwayman.serving.state.announced_config import active_config
from highwayman.serving.state.learner_factory import LearnerFactory, warm_encoder
from highwayman.serving.state.pool_objectives import PoolObjectives
from tests.feedback.worlds import outcome, thumb
from tests.serving.cli.log.test_log import World

DEAD = ["rebuild", "judge report", "snapshot list", "snapshot rollback 1", "savings", "export --to {folder}/out"]


@pytest.fixture
def world(valkey_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.delenv("REDIS_URL", raising=False)
    world = World(valkey_url, namespace, tmp_path)
    world.put(world.decision("d"), outcome("d"), thumb("d", 1.0))
    return world


def other_config(world: World, text: str = "policy: {name: LinTS}") -> Path:
    path = world.folder / "other.yaml"
    path.write_text(f"namespace: {world.namespace}\n{text}\n")
    return path


def announce(world: World, path: Path, entries: dict[str, Any] | None = None) -> LearnerFactory:
    """Put in force what a router with this configuration would; return what learns with it."""
    config = load_config(path)
    factory = LearnerFactory(config, (), warm_encoder(config))

    async def work(client: "aioredis.Redis") -> None:
        announced = active_config(factory, PoolObjectives(config, (), {}), entries)
        await record_config_change(Store(client, world.namespace), announced, at=time.time())

    world.at(work)
    return factory


def run(words: Sequence[object]) -> Result:
    return CliRunner().invoke(main, [*map(str, words)])


def test_commands_told_a_configuration_that_is_not_in_force_refuse_and_name_both_lineages(world: World) -> None:
    world.learned()
    in_force = announce(world, other_config(world))
    events = len(world.log())
    for command in DEAD:
        result = run([*command.format(folder=world.folder).split(), *world.options])
        assert result.exit_code == 1, command
        assert world.learning.lineage in result.output
        assert in_force.lineage in result.output
        assert "Leave --config out" in result.output
    assert len(world.log()) == events


def test_a_lineage_that_is_not_in_force_can_be_meant_by_its_name(world: World) -> None:
    world.learned()
    announce(world, other_config(world))
    report = json.loads(run(["rebuild", "--json", "--lineage", world.learning.lineage, *world.options]).stdout)
    assert (report["lineage"], report["equal"]) == (world.learning.lineage, True)
    wrong = run(["rebuild", "--lineage", "0123456789ab", *world.options])
    assert wrong.exit_code == 1
    assert "0123456789ab" in wrong.output


def test_a_rollback_counts_for_every_lineage_and_so_is_of_the_one_in_force_only(world: World) -> None:
    world.learned()
    in_force = announce(world, other_config(world))
    events = len(world.log())
    result = run(["snapshot", "rollback", "1", "--lineage", world.learning.lineage, *world.options])
    assert result.exit_code == 1, result.output
    assert f"lineage {in_force.lineage} (LinTS) is in force" in result.output
    assert "add --lineage" not in result.output
    assert len(world.log()) == events


@pytest.mark.parametrize(
    "command",
    [
        "promote another",
        "rollback",
        "erase --user ann --yes",
        "feedback quarantine some-key",
        "feedback release some-key",
        "feedback forget some-key --yes",
        "export --to {folder}/out --trim",
    ],
)
def test_what_is_done_to_a_whole_namespace_is_done_as_the_configuration_in_force_has_it(
    world: World, command: str
) -> None:
    in_force = announce(world, other_config(world))
    events = len(world.log())
    words = command.format(folder=world.folder).split()
    result = run([*words, "--lineage", world.learning.lineage, *world.options])
    assert result.exit_code == 1, result.output
    assert f"lineage {in_force.lineage} (LinTS) is in force" in result.output
    assert "add --lineage" not in result.output
    assert len(world.log()) == events
    assert not (world.folder / "out").exists()


def test_a_log_is_not_trimmed_by_another_retention_than_is_in_force(world: World) -> None:
    in_force = announce(world, other_config(world, "retention: {log_s: null}"))
    assert in_force.lineage == world.learning.lineage
    result = run(["export", "--to", world.folder / "out", "--trim", *world.options])
    assert result.exit_code == 1, result.output
    assert "retention.log_s" in result.output
    assert not (world.folder / "out").exists()


def test_without_a_configuration_a_command_takes_the_one_in_force_and_says_its_lineage(world: World) -> None:
    text = "policy: {name: LinTS, options: {prior_precision: 3.0}}\nfeedback: {metrics: {solved: {kind: boolean}}}"
    in_force = announce(world, other_config(world, text))
    world.learning = in_force
    world.learned()
    options = ["--redis-url", world.url, "--namespace", world.namespace]
    listed = run(["snapshot", "list", *options])
    assert listed.exit_code == 0, listed.output
    assert f"namespace {world.namespace}, lineage {in_force.lineage}" in listed.stderr
    report = json.loads(run(["rebuild", "--json", *options]).stdout)
    assert (report["lineage"], report["equal"]) == (in_force.lineage, True)
    for words in ("savings --json", "judge report --json", "tournament --json"):
        told = json.loads(run([*words.split(), *options]).stdout)
        assert (told["namespace"], told["lineage"]) == (world.namespace, in_force.lineage)


def test_a_rollback_without_a_configuration_is_of_the_lineage_in_force_and_leaves_its_learner_well(
    world: World,
) -> None:
    in_force = announce(world, other_config(world, "policy: {name: LinTS}\nretention: {version_every_s: 0}"))
    world.learning = in_force
    first = world.learned()

    async def rolled_back(client: "aioredis.Redis") -> Result:
        learning = asyncio.create_task(in_force.worker(client).run())
        words = ["snapshot", "rollback", first.stamp.version, "--redis-url", world.url, "--namespace", world.namespace]
        try:
            return await asyncio.to_thread(run, words)
        finally:
            assert not learning.done(), "the learner has failed"
            await cancel_and_wait(learning)

    result = world.at(rolled_back)
    assert result.exit_code == 0, result.output
    assert f"lineage {in_force.lineage}: in force" in result.stderr
    options = ["--redis-url", world.url, "--namespace", world.namespace]
    report = json.loads(run(["rebuild", "--json", *options]).stdout)
    assert (report["lineage"], report["equal"]) == (in_force.lineage, True)
    assert report["position"] > first.snapshot.position


def test_a_command_that_changes_running_routers_says_which_are_meant(world: World) -> None:
    entries = {"a": {"endpoint": "http://127.0.0.1:1", "model": "m", "price": "unknown", "context_window_tokens": 99}}
    in_force = announce(world, other_config(world), entries)
    for words in ("reload", "pool price a --in 1 --out 2", "pool show"):
        result = run([*words.split(), "--redis-url", world.url, "--namespace", world.namespace])
        assert f"namespace {world.namespace}, lineage {in_force.lineage}: in force" in result.stderr


def test_a_command_finds_the_one_namespace_and_asks_which_where_there_are_several(world: World) -> None:
    url = f"{world.url}?db=7"
    store_url, world.url = world.url, url

    async def clear(client: "aioredis.Redis") -> None:
        await client.flushdb()

    try:
        nobody = run(["rebuild", "--redis-url", url])
        assert nobody.exit_code == 1
        assert "namespace default" in nobody.output
        assert "no router has announced any" in nobody.output
        assert "is this the router's --config?" in nobody.output
        in_force = announce(world, other_config(world))
        assert f"lineage {in_force.lineage}" in run(["snapshot", "list", "--redis-url", url]).stderr
        world.namespace = "another"
        announce(world, other_config(world))
        several = run(["snapshot", "list", "--redis-url", url])
        assert several.exit_code == 1
        assert "--namespace" in several.output
        assert "another" in several.output
    finally:
        world.at(clear)
        world.url = store_url


def test_a_router_of_before_that_announces_less_is_believed_where_the_lineage_fits(world: World) -> None:
    in_force = announce(world, world.config)
    key = Keys(world.namespace)("in_force")

    async def forget_settings(client: "aioredis.Redis") -> None:
        told: dict[str, Any] = json.loads(await client.get(key))
        told.pop("settings")
        await client.set(key, json.dumps(told, sort_keys=True))

    world.at(forget_settings)
    options = ["--redis-url", world.url, "--namespace", world.namespace]
    assert f"lineage {in_force.lineage}" in run(["snapshot", "list", *options]).stderr

    in_force = announce(world, other_config(world, "feedback: {metrics: {solved: {kind: boolean}}}"))
    world.at(forget_settings)
    assert in_force.lineage != world.learning.lineage
    refused = run(["snapshot", "list", *options])
    assert refused.exit_code == 1
    assert "give its --config" in refused.output


def test_what_is_announced_can_be_read_back_whole_but_for_secrets(world: World) -> None:
    text = (
        "feedback: {doors: {Slack: {signing_secret: canary}}, judge: {arms: [a], rate: 0.5}}\n"
        "budget: {usd_per_day: 3.0}\ncontext: {task: {from: 'header:x-task', levels: [code, chat]}}"
    )
    path = other_config(world, text)
    announce(world, path)

    async def told(client: "aioredis.Redis") -> str:
        return await Store(client, world.namespace).active_config()

    assert "canary" not in world.at(told)
    shown = run(["config", "show", "--redis-url", world.url, "--namespace", world.namespace])
    assert shown.exit_code == 0, shown.output
    again = world.folder / "again.yaml"
    again.write_text(shown.stdout)
    given = load_config(path)
    assert load_config(again) == given.model_copy(update={"feedback": given.feedback.model_copy(update={"doors": {}})})


def test_a_pool_is_announced_without_the_secrets_that_headers_may_hold(world: World) -> None:
    headers = {"x-key": "canary", "authorization": "Bearer ${A_KEY}"}
    entry = {
        "endpoint": "http://h:1",
        "model": "m",
        "price": "unknown",
        "context_window_tokens": 99,
        "headers": headers,
    }
    announce(world, other_config(world), {"a": entry})

    async def told(client: "aioredis.Redis") -> str:
        return await Store(client, world.namespace).active_config()

    assert "canary" not in world.at(told)
    shown = run(["pool", "show", "--redis-url", world.url, "--namespace", world.namespace])
    assert shown.exit_code == 0, shown.output
    assert "${A_KEY}" in shown.stdout


def test_a_configuration_of_a_later_release_is_told_as_one_and_needs_not_be_read_where_another_is_given(
    world: World,
) -> None:
    announce(world, world.config)
    key = Keys(world.namespace)("in_force")

    async def add_key(client: "aioredis.Redis") -> None:
        told: dict[str, Any] = json.loads(await client.get(key))
        told["settings"]["warp"] = {"factor": 9}
        await client.set(key, json.dumps(told, sort_keys=True))

    world.at(add_key)
    refused = run(["snapshot", "list", "--redis-url", world.url, "--namespace", world.namespace])
    assert refused.exit_code == 1
    assert "another release's (1 keys cannot be read)" in refused.output
    assert run(["snapshot", "list", *world.options]).exit_code == 0


def test_a_learner_is_let_learn_another_lineage_than_the_routers(world: World) -> None:
    announce(world, other_config(world))

    async def learned() -> str:
        options = LogOptions(world.url, None, world.config, None, None)
        async with options.open(for_learning=True) as (_, factory):
            return factory.lineage

    assert asyncio.run(learned()) == world.learning.lineage


def test_redis_that_does_not_answer_is_told_in_a_line(tmp_path: Path) -> None:
    result = run(["snapshot", "list", "--redis-url", f"unix://{tmp_path}/nobody.sock"])
    assert result.exit_code == 1
    assert "Traceback" not in result.output
