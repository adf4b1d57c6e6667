import gzip
import json
import random
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from highwayman.env.pool.pool_file import load_pool
from highwayman.env.types import ArmState, Decision, Feedback, Mode, Outcome
from highwayman.feedback.archive.archive import Archive
from highwayman.feedback.log.events import Event, decode
from highwayman.serving.cli.main import main
from highwayman.serving.config.config import load_config

# In the shapes of TensorZero's configuration reference: shorthand and longhand models, weights, templates, metrics.
CONFIG = """
[gateway]
bind_address = "0.0.0.0:3000"

[models.qwen]
routing = ["gpu_1", "gpu_2"]
[models.qwen.providers.gpu_1]
type = "vllm"
model_name = "Qwen/Qwen3-8B"
api_base = "http://gpu-1:8000/v1/"
api_key_location = "none"
[models.qwen.providers.gpu_2]
type = "vllm"
model_name = "Qwen/Qwen3-8B"
api_base = "http://gpu-2:8000/v1/"
api_key_location = "none"

[functions.draft_email]
type = "chat"
[functions.draft_email.variants.small]
type = "chat_completion"
model = "qwen"
weight = 3
temperature = 0
system_template = "functions/draft_email/system.minijinja"
[functions.draft_email.variants.large]
type = "chat_completion"
model = "openai::gpt-5-mini"
weight = 1
max_tokens = 500
templates.draft.path = "functions/draft_email/draft.minijinja"
[functions.draft_email.variants.reserve]
type = "chat_completion"
model = "xai::grok-4"
[functions.draft_email.variants.vertex]
type = "chat_completion"
model = "gcp_vertex_gemini::gemini"
[functions.draft_email.variants.best]
type = "experimental_best_of_n_sampling"
candidates = ["small", "large"]

[metrics.task_success]
type = "boolean"
level = "inference"
optimize = "max"
[metrics.edits]
type = "float"
level = "episode"
optimize = "min"
"""
EXPERIMENT = '[functions.draft_email.experimentation]\ntype = "{}"\ncandidate_variants = {}\n'


def uuid7(ms: int, chance: random.Random) -> str:
    """Return a UUIDv7 of a moment, in milliseconds since the epoch."""
    return str(
        uuid.UUID(int=(ms << 80) | (0x7 << 76) | (chance.getrandbits(12) << 64) | (0b10 << 62) | chance.getrandbits(62))
    )


def tables(episodes: int = 200) -> dict[str, list[dict[str, Any]]]:
    """Return tables as ClickHouse holds them: an episode of one call, every tenth of two; small succeeds more often."""
    chance, now = random.Random(7), 1_760_000_000_000
    found: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("ChatInference", "ModelInference", "BooleanMetricFeedback", "FloatMetricFeedback")
    }
    for number in range(episodes):
        now += 60_000
        episode, variant = uuid7(now, chance), "small" if chance.random() < 0.75 else "large"
        for turn in range(2 if number % 10 == 0 else 1):
            inference = uuid7(now + 1 + 1000 * turn, chance)
            messages = [{"role": "user", "content": [{"type": "text", "text": f"Write to number {number}."}]}]
            found["ChatInference"].append({
                "id": inference, "function_name": "draft_email", "variant_name": variant, "episode_id": episode,
                "input": json.dumps({"system": {"tone": "kind"}, "messages": messages}),
                "output": json.dumps([{"type": "text", "text": "Dear number."}]), "tool_params": "",
                "inference_params": json.dumps({"chat_completion": {"max_tokens": 500}}), "processing_time_ms": 1200,
                "timestamp": "2025-10-09 08:53:20", "tags": {"user_id": f"u{number % 50}"}, "ttft_ms": None,
            })  # fmt: skip
            found["ModelInference"].append({
                "id": uuid7(now + 2, chance), "inference_id": inference, "input_tokens": 20, "output_tokens": 5,
                "finish_reason": "stop", "model_name": "qwen",
            })  # fmt: skip
            good = chance.random() < (0.9 if variant == "small" else 0.4)
            found["BooleanMetricFeedback"].append({
                "id": uuid7(now + 5000, chance), "target_id": inference, "metric_name": "task_success",
                "value": good, "tags": {},
            })  # fmt: skip
        found["FloatMetricFeedback"].append({
            "id": uuid7(now + 9000, chance), "target_id": episode, "metric_name": "edits", "value": number % 4,
            "tags": {},
        })  # fmt: skip
    return found


def as_jsonl(folder: Path, rows_of: dict[str, list[dict[str, Any]]]) -> None:
    for name, rows in rows_of.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode()))


def as_parquet(folder: Path, rows_of: dict[str, list[dict[str, Any]]]) -> None:
    """Write tables as older ClickHouse does: texts as bytes, UUIDs as 16 of them, maps as maps."""
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for name, rows in rows_of.items():
        columns: dict[str, Any] = {}
        for column in rows[0]:
            values = [row[column] for row in rows]
            if column in ("id", "inference_id", "episode_id", "target_id"):
                columns[column] = pa.array([uuid.UUID(value).bytes for value in values], pa.binary(16))
            elif column == "tags":
                columns[column] = pa.array([list(value.items()) for value in values], pa.map_(pa.binary(), pa.binary()))
            elif isinstance(values[0], str):
                columns[column] = pa.array([value.encode() for value in values])
            else:
                columns[column] = pa.array(values)
        parquet.write_table(pa.table(columns), folder / f"{name}-0001.parquet")


def imported(folder: Path, *words: object, config: str = CONFIG) -> Result:
    (folder / "functions" / "draft_email").mkdir(parents=True, exist_ok=True)
    (folder / "functions" / "draft_email" / "system.minijinja").write_text("You write e-mails.\n")
    (folder / "tensorzero.toml").write_text(config)
    out = folder / "out"
    words = ("import", "tensorzero", folder / "tensorzero.toml", "--to", out, *words)
    return CliRunner().invoke(main, list(map(str, words)))


def events(folder: Path) -> list[Event]:
    return [decode(data) for page in Archive(folder).read() for _, data, _ in page]


def as_log(folder: Path, *words: object, write: Any = as_jsonl, config: str = CONFIG) -> Result:
    (folder / "tables").mkdir()
    write(folder / "tables", tables())
    return imported(folder, "--tables", folder / "tables", "--log", folder / "log", *words, config=config)


def test_variants_become_arms_and_metrics_metrics(tmp_path: Path) -> None:
    result = imported(tmp_path)
    assert result.exit_code == 0, result.output
    arms = {arm.name: arm for arm in load_pool(tmp_path / "out" / "pool.yaml").arms}
    assert list(arms) == ["small", "large", "reserve"]
    assert arms["small"].endpoints == ("http://gpu-1:8000", "http://gpu-2:8000")
    assert (arms["small"].model, arms["small"].api_key_env) == ("Qwen/Qwen3-8B", None)
    assert (arms["small"].profile.system, arms["small"].profile.temperature) == ("You write e-mails.", 0.0)
    assert (arms["large"].profile.max_tokens, arms["large"].api_key_env) == (500, "OPENAI_API_KEY")
    assert arms["reserve"].state is ArmState.DRAINING, "a variant without a weight is not drawn where others have one"
    config = load_config(tmp_path / "out" / "highwayman.yaml")
    assert config.namespace == "draft_email"
    assert config.feedback.metrics["task_success"].kind == "boolean"
    assert config.feedback.metrics["edits"].direction == "lower"
    for place in (
        "variants.vertex: model",
        "variants.best: type",
        "variants.large.templates",
        "gateway: the router's own",
    ):
        assert place in result.stdout
    files = [str(tmp_path / "out" / name) for name in ("highwayman.yaml", "pool.yaml")]
    checked = CliRunner().invoke(main, ["config", "check", files[0], "--pool", files[1]])
    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize("write", [as_jsonl, as_parquet])
def test_tables_become_a_log_with_the_propensities_of_the_weights(tmp_path: Path, write: Any) -> None:
    result = as_log(tmp_path, write=write)
    assert result.exit_code == 0, result.output
    assert "220 decisions, 200 of them drawn" in result.stdout
    log = events(tmp_path / "log")
    decisions = [event for event in log if isinstance(event, Decision)]
    first = decisions[0]
    assert (first.arms, first.mode) == (("small", "large"), Mode.ROUTE)
    assert first.probs.tolist() == [0.75, 0.25]
    assert first.at == pytest.approx(1_760_000_060.001)
    assert decisions[1].mode is Mode.STICKY, "an episode's second call follows the first one's draw"
    assert len({decision.user for decision in decisions}) == 50
    assert "u7" not in {decision.user for decision in decisions}
    outcome = next(event for event in log if isinstance(event, Outcome))
    assert (outcome.tokens_in, outcome.tokens_out, outcome.latency_s) == (20, 5, 1.2)
    shared = [event for event in log if isinstance(event, Feedback) and event.metric == "edits"]
    assert [event.weight for event in shared[:3]] == [0.5, 0.5, 1.0], "a statement on an episode of two counts once"
    edits = load_config(tmp_path / "out" / "highwayman.yaml").feedback.metrics["edits"]
    assert (edits.low, edits.high) == (0.0, 3.0), "as far as the tables go"


def test_replay_judges_other_policies_by_the_log(tmp_path: Path) -> None:
    assert as_log(tmp_path).exit_code == 0
    words = ["replay", "--from", tmp_path / "log", "--config", tmp_path / "out" / "highwayman.yaml", "--json"]
    replayed = CliRunner().invoke(main, [*map(str, words), "--policy", "Fixed:arm=large"])
    assert replayed.exit_code == 0, replayed.output
    told = json.loads(replayed.stdout)
    assert told["rounds"] == 200
    (large,) = told["answers"]
    assert large["verdict"] == "earns less"


@pytest.mark.parametrize(
    ("config", "words"),
    [(CONFIG, ["--without-propensities"]), (CONFIG + EXPERIMENT.format("adaptive", '["small", "large"]'), [])],
)
def test_where_nobody_knows_the_probabilities_the_log_says_so(
    tmp_path: Path, config: str, words: Sequence[str]
) -> None:
    result = as_log(tmp_path, *words, config=config)
    assert result.exit_code == 0, result.output
    assert "without propensities: only to learn from" in result.stdout
    modes = {event.mode for event in events(tmp_path / "log") if isinstance(event, Decision)}
    assert modes == {Mode.STICKY}


def test_weights_that_the_draws_speak_against_are_not_taken_for_propensities(tmp_path: Path) -> None:
    config = CONFIG + EXPERIMENT.format("static", "{small = 0.5, large = 0.5}")
    result = as_log(tmp_path, config=config)
    assert result.exit_code == 1
    assert "its weight says 50.0%" in result.output
    assert not (tmp_path / "out" / "pool.yaml").exists()


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    assert as_log(tmp_path).exit_code == 0
    again = imported(tmp_path)
    assert "give --force" in again.output
    words = ("--force", "--tables", tmp_path / "tables", "--log", tmp_path / "log")
    assert "holds a log already" in imported(tmp_path, *words).output


def test_one_of_several_functions_must_be_named(tmp_path: Path) -> None:
    config = CONFIG + '[functions.other]\ntype = "chat"\n[functions.other.variants.a]\nmodel = "openai::a"\n'
    refused = imported(tmp_path, config=config)
    assert "--function: it has draft_email, other" in refused.output
    taken = imported(tmp_path, "--function", "other", config=config)
    assert taken.exit_code == 0, taken.output
    assert [arm.name for arm in load_pool(tmp_path / "out" / "pool.yaml").arms] == ["a"]


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ("temperature = 0", 'temperature = "warm"', "functions.draft_email.variants.small"),
        ("[metrics.edits]", "[metrics]\nedits = 3\n[other]", "metrics.edits"),
    ],
)
def test_what_has_another_shape_than_documented_is_told_by_its_place(
    tmp_path: Path, before: str, after: str, place: str
) -> None:
    config = CONFIG.replace("[metrics.task_success]", "[other_metrics]") if "metrics" in before else CONFIG
    result = imported(tmp_path, config=config.replace(before, after))
    assert isinstance(result.exception, SystemExit), "no traceback"
    assert f"Error: {place}: cannot be read" in result.output


def test_a_table_that_is_cut_off_is_told_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "ChatInference.jsonl").write_text('{"id": "1"}\n{"id": ')
    result = imported(tmp_path, "--tables", tmp_path / "tables", "--log", tmp_path / "log")
    assert "ChatInference.jsonl: line 2: is no row in JSON" in result.output
    assert not (tmp_path / "log").exists()
