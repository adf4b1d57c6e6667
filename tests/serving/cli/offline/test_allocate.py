"""`allocate` as an operator runs it, on a snapshot and on what is in force in a real Valkey."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from highwayman.env.pool.pool_file import load_pool
from highwayman.env.types import Outcome, Query, RewardChange, Status
from highwayman.feedback.fold.learner import Snapshot
from highwayman.feedback.fold.tally import Tally
from highwayman.feedback.learning.publications import Published, VersionStamp
from highwayman.feedback.learning.snapshot_file import write_snapshot
from highwayman.feedback.log.redis.redis import connect
from highwayman.serving.cli.main import main
from highwayman.serving.config.config import Config
from highwayman.serving.state.learner_factory import LearnerFactory, warm_encoder

POOL = """
arms:
  small: {endpoint: "http://a:1", model: s, usd_per_mtok_in: 0.1, usd_per_mtok_out: 1, context_window_tokens: 4096}
  org/large: {endpoint: "http://b:1", model: l, usd_per_mtok_in: 1, usd_per_mtok_out: 10, context_window_tokens: 8192,
    profile: {system: Be brief., max_tokens: 200}}
"""
EASY, HARD = "What is the capital of France?", "Prove that this integral of a product converges: \\int_0^1 x^x dx"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Snapshot]:
    """A pool file, a snapshot in which the small arm fails at what is hard, and what is in it."""
    folder = tmp_path_factory.mktemp("allocate")
    pool = folder / "pool.yaml"
    pool.write_text(POOL)
    factory = LearnerFactory(Config(), load_pool(pool).arms, warm_encoder(Config()))
    policy, tally = factory.policy(), Tally()
    for name in factory.arm_names:
        policy.add_arm(name)
    texts = EASY, HARD
    contexts = factory.encoder.encode_many([Query(text=text, prompt_chars=len(text)) for text in texts])
    quality = {("small", EASY): 0.9, ("small", HARD): 0.1, ("org/large", EASY): 0.95, ("org/large", HARD): 0.95}
    for (arm, text), value in quality.items():
        features = contexts[texts.index(text)].features
        policy.learn([RewardChange(arm, features, 60.0, 60.0 * value, 60.0 * value**2)])
    for arm in factory.arm_names:
        tally.on_outcome(Outcome("d", 0.0, arm, Status.OK, prompt_tokens=20, tokens_in=20, tokens_out=100))
    snapshot = Snapshot("5-1", policy.state(), tally.to_json())
    path = folder / "learned.hwym"
    write_snapshot(path, Published(VersionStamp(7, "me"), snapshot, 1.0), lineage=factory.lineage)
    factory.encoder.close()
    return pool, path, snapshot


def run(prompts: Path, *words: object) -> Result:
    return CliRunner().invoke(
        main, ["allocate", str(prompts), "--out", str(prompts.parent / "out.jsonl"), *map(str, words)]
    )


def written(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def prompts_file(folder: Path, *lines: object) -> Path:
    path = folder / "prompts.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_what_there_is_to_spend_goes_where_it_is_worth_most(tmp_path: Path, state: tuple[Path, Path, Snapshot]) -> None:
    pool, snapshot, _ = state
    prompts = prompts_file(tmp_path, EASY, {"prompt": HARD}, {"messages": [{"role": "user", "content": EASY}]})
    result = run(prompts, "--budget", 0.004, "--pool", pool, "--snapshot", snapshot, "--json")
    assert result.exit_code == 0, result.output
    report, lines = json.loads(result.stdout), written(tmp_path / "out.jsonl")
    assert [(line["custom_id"], line["arm"]) for line in lines] == [
        ("request-1", "small"), ("request-2", "org/large"), ("request-3", "small"),
    ]  # fmt: skip
    assert sum(line["expected_usd"] for line in lines) == pytest.approx(report["expected_usd"])
    assert report["expected_usd"] <= 0.004
    assert report["expected_quality"] == pytest.approx(sum(line["expected_quality"] for line in lines) / 3)
    assert (report["prompts"], report["version"], report["arms"]) == (3, 7, ["small 2", "org/large 1"])
    assert report["best_single_arm"].startswith("small: quality ")
    assert "capital" not in (tmp_path / "out.jsonl").read_text() + result.output


def test_batch_lines_become_a_batch_for_each_arms_server_under_its_profile(
    tmp_path: Path, state: tuple[Path, Path, Snapshot]
) -> None:
    pool, snapshot, _ = state

    def line(name: str, model: str, *messages: tuple[str, str], **more: object) -> dict[str, object]:
        body = {"model": model, "messages": [{"role": role, "content": text} for role, text in messages], **more}
        return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}

    prompts = prompts_file(
        tmp_path,
        line("one", "gpt-x", ("user", EASY), temperature=0.5),
        line("two", "gpt-x", ("user", HARD), max_tokens=50, stream=True),
    )
    result = run(prompts, "--budget", 0.0012, "--pool", pool, "--snapshot", snapshot, "--batches", tmp_path / "b")
    assert result.exit_code == 0, result.output
    assert {path.name for path in (tmp_path / "b").iterdir()} == {"small.jsonl", "org-large.jsonl"}
    assert written(tmp_path / "b" / "small.jsonl") == [line("one", "s", ("user", EASY), temperature=0.5)]
    under_profile = line("two", "l", ("system", "Be brief."), ("user", HARD), max_tokens=50)
    assert written(tmp_path / "b" / "org-large.jsonl") == [under_profile]


def test_what_is_in_force_is_taken_from_redis(
    tmp_path: Path, state: tuple[Path, Path, Snapshot], valkey_url: str, namespace: str
) -> None:
    pool, snapshot, learned = state
    config = tmp_path / "highwayman.yaml"
    config.write_text(f"namespace: {namespace}\n")
    prompts = prompts_file(tmp_path, EASY, HARD)
    words = "--budget", 1, "--pool", pool, "--config", config, "--redis-url", valkey_url, "--json"
    refused = run(prompts, *words)
    assert (refused.exit_code, "nothing is published for lineage" in refused.output) == (1, True)

    async def publish() -> None:
        client = connect(valkey_url)
        factory = LearnerFactory(Config(namespace=namespace), load_pool(pool).arms, warm_encoder(Config()))
        await factory.publications(client).force_publish(learned, holder="test", at=1.0)
        await client.aclose()
        factory.encoder.close()

    asyncio.run(publish())
    in_force = run(prompts, *words)
    assert in_force.exit_code == 0, in_force.output
    of_file = run(prompts, "--budget", 1, "--pool", pool, "--snapshot", snapshot, "--json")
    assert {**json.loads(of_file.stdout), "version": 1} == json.loads(in_force.stdout)


def test_a_prompt_that_no_arm_may_answer_is_told_and_the_others_are_routed(
    tmp_path: Path, state: tuple[Path, Path, Snapshot]
) -> None:
    pool, snapshot, _ = state
    prompts = prompts_file(tmp_path, EASY, {"custom_id": "long", "prompt": "word " * 9000})
    result = run(prompts, "--budget", 0.01, "--pool", pool, "--snapshot", snapshot, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["without_any_arm"] == 1
    refused = written(tmp_path / "out.jsonl")[1]
    assert (refused["custom_id"], refused["arm"]) == ("long", None)
    assert "has a window of" in refused["error"]


def test_a_prompt_goes_where_its_class_may_or_nowhere(tmp_path: Path, state: tuple[Path, Path, Snapshot]) -> None:
    pool, config = tmp_path / "pool.yaml", tmp_path / "highwayman.yaml"
    pool.write_text(state[0].read_text().replace("small: {", "small: {zone: home, "))
    rules = {"classes": {"personal": ["home"], "secret": []}, "redact": ["personal"]}
    config.write_text(json.dumps({"privacy": rules}))
    mail, key = f"{HARD} ann@example.org", "Is sk-proj-0123456789abcdefghij a key?"
    prompts = prompts_file(tmp_path, mail, key, HARD)
    whose = "--pool", pool, "--snapshot", state[1], "--config", config
    result = run(prompts, "--budget", 1, *whose)
    assert result.exit_code == 0, result.output
    lines = written(tmp_path / "out.jsonl")
    assert [line["arm"] for line in lines] == ["small", None, "org/large"]
    assert "which is secret (so says: api_key): rule privacy.classes.secret" in lines[1]["error"]
    assert key not in (tmp_path / "out.jsonl").read_text()


def test_what_cannot_be_is_told_in_a_line_and_nothing_is_written(
    tmp_path: Path, state: tuple[Path, Path, Snapshot]
) -> None:
    pool, snapshot, _ = state
    prompts = prompts_file(tmp_path, EASY, HARD)
    whose = "--pool", pool, "--snapshot", snapshot
    for words, says in (
        (("--budget", 1, "--snapshot", snapshot), "give the pool file (--pool)"),
        (("--budget", 0.000001, *whose), "does not pay for 2 prompts"),
        (("--budget", 1, *whose, "--without", "huge"), "--without huge: the pool's arms are small, org/large"),
    ):
        result = run(prompts, *words)
        assert (result.exit_code, says in result.output) == (1, True), result.output
        assert "Traceback" not in result.output
    assert not (tmp_path / "out.jsonl").exists()


def test_a_tag_that_bodies_tell_is_heeded(tmp_path: Path, state: tuple[Path, Path, Snapshot]) -> None:
    pool, _, learned = state
    settings = {"context": {"task": {"from": "metadata:task", "levels": ["chat", "proof"]}}}
    config_file = tmp_path / "highwayman.yaml"
    config_file.write_text(json.dumps(settings))
    config = Config.model_validate(settings)
    factory = LearnerFactory(config, load_pool(pool).arms, warm_encoder(config))
    policy = factory.policy()
    for arm, task, value in (("small", 0, 0.9), ("small", 1, 0.1), ("org/large", 0, 0.9), ("org/large", 1, 0.9)):
        policy.add_arm(arm)
        query = Query(text=EASY, prompt_chars=len(EASY), tags=(("task", task),))
        features = factory.encoder.encode_many([query])[0].features
        policy.learn([RewardChange(arm, features, 60.0, 60.0 * value, 60.0 * value**2)])
    path = tmp_path / "learned.hwym"
    published = Published(VersionStamp(1, "me"), Snapshot("5-1", policy.state(), learned.tally), 1.0)
    write_snapshot(path, published, lineage=factory.lineage)
    factory.encoder.close()
    ask = {"messages": [{"role": "user", "content": EASY}]}
    prompts = prompts_file(tmp_path, {**ask, "metadata": {"task": "chat"}}, {**ask, "metadata": {"task": "proof"}})
    result = run(prompts, "--budget", 0.003, "--pool", pool, "--snapshot", path, "--config", config_file)
    assert result.exit_code == 0, result.output
    assert [line["arm"] for line in written(tmp_path / "out.jsonl")] == ["small", "org/large"]
