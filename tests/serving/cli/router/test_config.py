"""`highwayman config` as an operator runs it."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result

from highwayman.serving.cli.main import main
from highwayman.serving.config.config import Config, load_config

POOL = "arms:\n  a: {endpoint: 'http://127.0.0.1:9', model: m, price: unknown, context_window_tokens: 4096}\n"

CHALLENGER = "tournament: {challengers: [{name: x, policy:"


def config(*words: object) -> Result:
    return CliRunner().invoke(main, ["config", *map(str, words)])


def written(folder: Path, text: str) -> Path:
    path = folder / "highwayman.yaml"
    path.write_text(text)
    return path


def test_a_configuration_that_can_be_served_is_summed_up(tmp_path: Path) -> None:
    path = written(tmp_path, "namespace: shop\npolicy: {name: LinTS, options: {prior_precision: 3.0}}\n")
    result = config("check", path)
    assert result.exit_code == 0, result.output
    assert "namespace shop, lineage " in result.output
    assert "policy: LinTS, prior_precision 3.0" in result.output
    assert "thumbs" in result.output


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("polcy: {}", "did you mean 'policy'"),
        ("policy: {name: HierTS, options: {exploraton: 1}}", "did you mean 'exploration'"),
        ("policy: {name: LinTS, options: {prior_precision: -1}}", "prior_precision must be > 0"),
        ("policy: {prior: nowhere.bin}", "nowhere.bin"),
        ("policy: {name: Uniform}\nexploration: {regret_per_request: 0.1}", "exploration.regret_per_request"),
        ("encoder: {engine: statik}", "statik"),
        ("feedback: {doors: {Slack: {signing_secret: ''}}}", "signing_secret must not be empty"),
        ("feedback: {judge: {arms: [b]}}", "there is no arm 'b' in the pool"),
        ("control: {baseline: b}", "there is no arm 'b' in the pool"),
        ("shadow: {arms: [b]}", "there is no arm 'b' in the pool"),
        ("cascade: {signals: [{Verification: {arm: b}}]}", "the pool has no arm 'b'"),
        ("policy: {name: Fixed, options: {arm: b}}", "policy.options.arm: there is no arm 'b' in the pool"),
        (
            f"{CHALLENGER} {{name: Fixed, options: {{arm: b}}}}}}]}}",
            "challengers: x: policy.options.arm: there is no arm 'b'",
        ),
        (f"{CHALLENGER} {{name: LinTS, options: {{ridgee: 1.0}}}}}}]}}", "challengers: x: "),
        ("privacy: {classes: {secret: [home]}}", "privacy.classes.secret: no arm of the pool has `zone: home`"),
        ("privacy: {classes: {secret: []}, detector: 'no:Where'}", "privacy.detector: 'no:Where'"),
        ("privacy: {classes: {topsecret: []}}", "privacy.classes.topsecret"),
        ("shadow: {never: {task: [health]}}", "'health' is no level that context.task.levels declares"),
        ("namespace: 'a{b'", "without braces"),
    ],
)
def test_what_serve_would_refuse_is_told_in_a_line(tmp_path: Path, text: str, says: str) -> None:
    pool = tmp_path / "pool.yaml"
    pool.write_text(POOL)
    result = config("check", written(tmp_path, text), "--pool", pool)
    assert result.exit_code == 1, result.output
    assert says in result.output
    assert "Traceback" not in result.output


def test_an_arm_called_like_the_one_that_gives_stored_answers_is_told(tmp_path: Path) -> None:
    pool = tmp_path / "pool.yaml"
    pool.write_text(POOL.replace(" a:", " cache:"))
    result = config("check", written(tmp_path, "answer_cache: {}"), "--pool", pool)
    assert (result.exit_code, "the pool has an arm 'cache'" in result.output) == (1, True), result.output


def test_a_zone_may_be_that_of_a_model_asked_by_name_alone(tmp_path: Path) -> None:
    path, pool = written(tmp_path, "privacy: {classes: {secret: [vectors]}}"), tmp_path / "pool.yaml"
    by_name = "{endpoint: 'http://127.0.0.1:9', model: e, serves: [embeddings], zone: vectors}"
    pool.write_text(f"{POOL}by_name: {{embedder: {by_name}}}\n")
    result = config("check", path, "--pool", pool)
    assert result.exit_code == 0, result.output


def test_the_schema_knows_every_key() -> None:
    schema = json.loads(config("schema").stdout)
    assert schema["properties"].keys() == Config.model_fields.keys()
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("policy", "fits"),
    [
        ({"options": {"patience": 100.0}}, True),  # HierTS, as no name is given
        ({"name": "LinTS", "options": {"exploration": 0.5}}, True),
        ({"name": "LinTS", "options": {"patience": 100.0}}, False),
        ({"name": "LinTS", "options": {"exploration": "much"}}, False),
        ({"name": "LinTs"}, False),
        ({"name": "my.module:Policy", "options": {"anything": 1}}, True),
    ],
)
def test_the_schema_knows_the_options_of_each_policy(policy: dict[str, object], fits: bool) -> None:
    validator = jsonschema.Draft202012Validator(json.loads(config("schema").stdout))
    assert validator.is_valid({"policy": policy}) is fits
    assert validator.is_valid({"tournament": {"challengers": [{"name": "c", "policy": policy}]}}) is fits


def test_every_key_of_the_configuration_says_what_it_is() -> None:
    schema = json.loads(config("schema").stdout)
    for name, definition in {"": schema, **schema["$defs"]}.items():
        for key, of_key in definition.get("properties", {}).items():
            referred = schema["$defs"][of_key["$ref"].rpartition("/")[2]] if "$ref" in of_key else {}
            assert of_key.get("description") or referred.get("description"), f"{name}.{key}"


def test_a_file_is_shown_with_its_defaults_and_without_its_secrets(tmp_path: Path) -> None:
    path = written(tmp_path, "feedback: {doors: {Slack: {signing_secret: canary}}}\nbudget: {usd_per_day: 3.0}\n")
    shown = config("show", path).stdout
    assert "canary" not in shown
    assert "feedback.doors is left out" in shown
    assert "options of HierTS that are as by default: exploration 0.75, patience 250.0" in shown
    again = written(tmp_path, shown)
    assert load_config(again) == Config.model_validate({"budget": {"usd_per_day": 3.0}})
    assert yaml.safe_load(shown)["limits"]["drain_s"] == 60.0


def test_without_a_router_and_a_file_there_is_nothing_to_show(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["config", "show", "--state-dir", str(tmp_path)], env={"REDIS_URL": ""})
    assert result.exit_code == 1
    assert "start `highwayman up` or `serve`" in result.output
