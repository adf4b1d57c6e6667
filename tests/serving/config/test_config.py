from pathlib import Path

import pytest

from highwayman.bandit.exploration_cap import ExplorationCap
from highwayman.bandit.probation import ProbationQuota
from highwayman.env.cost.pool_spread import PoolSpread
from highwayman.env.encoder.features.tags import SLOTS, Tag, named_calls_teach
from highwayman.env.errors import ConfigError
from highwayman.serving.config.config import Config, load_config


def written(folder: Path, text: str) -> Path:
    path = folder / "highwayman.yaml"
    path.write_text(text)
    return path


def points(config: Config) -> dict[str, float]:
    """Return the points per dollar of each alias where a call to the dearest arm costs two cents more."""
    objectives = config.objectives(PoolSpread(usd=0.02, wh=4.0))
    return {alias: objective.points_per_usd for alias, objective in objectives.items()}


def test_without_a_file_everything_has_a_default() -> None:
    assert load_config(None) == Config()
    assert points(load_config(None)) == {"auto": 750.0, "auto-cheap": 2_500.0, "auto-quality": 0.0}


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "cost_weights: {auto: 0.3}\npolicy: {floor: 0.1}\n"))
    assert points(config) == {"auto": 1_500.0, "auto-cheap": 2_500.0, "auto-quality": 0.0}
    assert (config.policy.floor, config.encoder.engine) == (0.1, "static")


@pytest.mark.parametrize(
    ("text", "floor", "loss"),
    [
        ("{}", 0.02, 0.0005),
        ("policy: {floor: 0.1}", 0.1, None),
        ("policy: {floor: 0.1, floor_loss: 0.001}", 0.1, 0.001),
        ("policy: {floor_loss: null}", 0.02, None),
    ],
)
def test_a_floor_that_is_given_is_spread_evenly_as_it_was_unless_it_has_a_price(
    tmp_path: Path, text: str, floor: float, loss: float | None
) -> None:
    policy = load_config(written(tmp_path, text)).policy
    assert (policy.floor, policy.floor_loss) == (floor, loss)


def test_points_are_what_the_file_says_whatever_the_pool(tmp_path: Path) -> None:
    text = "objective: {points_per_usd: {auto: 1234.5}, points_per_s: 0.5, points_per_wh: 2}"
    config = load_config(written(tmp_path, text))
    for spread in (PoolSpread(), PoolSpread(usd=0.02, wh=4.0)):
        auto = config.objectives(spread)["auto"]
        assert (auto.points_per_usd, auto.points_per_s, auto.points_per_wh) == (1_234.5, 0.5, 2.0)
    assert config.old_weights(PoolSpread()) == []


def test_weights_of_an_older_file_are_read_and_what_to_write_instead_is_told(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "cost_weights: {auto: 0.2}\nlatency_weight: 0.05\nenergy_weight: 0.1\n"))
    spread = PoolSpread(usd=0.03, wh=4.0)
    auto = config.objectives(spread)["auto"]
    assert (auto.points_per_usd, auto.points_per_s, auto.points_per_wh) == (667.0, 0.5, 2.5)
    assert config.old_weights(spread) == [
        "cost_weights.auto: 0.2 is read as objective.points_per_usd.auto: 667; write that instead",
        "latency_weight: 0.05 is read as objective.points_per_s: 0.5; write that instead",
        "energy_weight: 0.1 is read as objective.points_per_wh: 2.5; write that instead",
    ]


def test_where_nothing_has_a_price_yet_an_older_weight_is_not_told_as_a_number(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "cost_weights: {auto: 0.2}\nenergy_weight: 0.1\n"))
    assert config.objectives(PoolSpread())["auto"].points_per_usd == 0.0
    assert config.old_weights(PoolSpread()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("encodr: {engine: onnx}", r"highwayman.yaml: unknown key 'encodr' \(did you mean 'encoder'\?\)"),
        ("encoder: {engin: onnx}", r"unknown key 'encoder.engin' \(did you mean 'engine'\?\)"),
        ("policy: {floor: 2}", "policy.floor: Input should be less than or equal to 1"),
        ("policy: [", "highwayman.yaml: "),
        ("cost_weights: {autoo: 1}", "cost_weights.autoo"),
        ("objective: {points_per_usd: {auto: -1}}", "objective.points_per_usd.auto: Input should be greater"),
        ("objective: {points_per_dollar: {}}", r"unknown key 'objective.points_per_dollar'"),
        (
            "{objective: {points_per_usd: {auto: 1}}, cost_weights: {auto: 1}}",
            "objective.points_per_usd.auto and cost_weights.auto: give the first alone",
        ),
        (
            "{objective: {points_per_s: 1}, latency_weight: 0.1}",
            "objective.points_per_s and latency_weight: give the first alone",
        ),
        ("exploration: {usd_a_day: 1}", r"unknown key 'exploration.usd_a_day' \(did you mean 'usd_per_day'\?\)"),
        (
            "policy: {name: HierTs}",
            r"policy.name: unknown policy 'HierTs' \(did you mean 'HierTS'\?\)",
        ),
        ("trial: {share: 1.0}", "trial.share: Input should be less than 1"),
        (
            "context: {task: {from: body}}",
            r"context.task.from: must be header:NAME, metadata:NAME, key, .*, got",
        ),
        ("context: {task: {from: 'header:'}}", "context.task.from: must be header:NAME"),
        ("context: {task: {slots: 3}}", "context.task.from: Field required"),
        ("context: {Task: {from: key}}", "a tag's name is of small letters, digits and _, such as task; got 'Task'"),
        ("context: {task: {from: key, levels: [a, a]}}", "tag task: needs different levels"),
        ("context: {named_call: {from: key}}", "no tag may be called named_call"),
    ],
)
def test_a_mistake_is_told_with_the_file_and_the_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(written(tmp_path, text))


@pytest.mark.parametrize(
    "name",
    [
        "HierTS",
        "highwayman.bandit.hier_ts:HierTS",  # as written before
        "'highwayman.bandit.hier_ts:HierTS'",  # as written before
    ],
)
def test_a_shipped_policy_is_named_by_its_class_and_a_path_of_yesterday_means_the_same(
    tmp_path: Path, name: str
) -> None:
    assert load_config(written(tmp_path, f"policy: {{name: {name}}}\n")).policy.name == "HierTS"


def test_tags_are_declared_by_name_and_named_calls_are_one_where_they_teach(tmp_path: Path) -> None:
    text = "context: {task: {from: header:X-Task, levels: [maths]}, app: {from: app, slots: 4}}\n"
    declared = load_config(written(tmp_path, text))
    assert declared.tag_columns().tags == (Tag("task", ("maths",), SLOTS), Tag("app", slots=4))
    assert declared.context["task"].place() == ("header", "x-task")
    assert load_config(None).tag_columns().width == 0
    told = load_config(written(tmp_path, "policy: {learns_from_named_calls: true}"))
    assert named_calls_teach(told.tag_columns().fingerprint("engine"))


def test_exploration_is_capped_where_the_file_says_so_and_trials_have_their_quota(tmp_path: Path) -> None:
    plain, asked = (
        load_config(None),
        load_config(written(tmp_path, "exploration: {usd_per_day: 2}\ntrial: {share: 0.1}")),
    )
    assert plain.exploration.cap() is None
    assert plain.trial.quota() == ProbationQuota(share=0.02, max_usd=10.0)
    assert isinstance(asked.exploration.cap(), ExplorationCap)
    assert asked.trial.quota() == ProbationQuota(share=0.1, max_usd=10.0)


def test_stored_answers_are_given_only_where_the_file_says_so_and_exact_ones_leave_the_features_as_they_are(
    tmp_path: Path,
) -> None:
    assert load_config(None).answer_cache is None
    exact = load_config(written(tmp_path, "answer_cache: {}"))
    assert exact.answer_cache is not None
    assert (exact.answer_cache.arm_names(), exact.tag_columns()) == (["cache"], Config().tag_columns())
    like = load_config(written(tmp_path, "answer_cache: {similarity: 0.9}"))
    assert like.answer_cache is not None
    assert like.answer_cache.arm_names() == ["cache", "cache-semantic"]
    assert [tag.name for tag in like.tag_columns().tags] == ["answer_cache"]


@pytest.mark.parametrize("key", ["cascade", "answer_cache", "control", "images"])
def test_a_part_under_which_nothing_stands_is_neither_off_nor_on_without_a_word(tmp_path: Path, key: str) -> None:
    for text in (f"{key}:\n", f"{key}:  # with its defaults\n  # engine: mine:Engine\nbudget: {{}}\n"):
        with pytest.raises(ConfigError, match=f"{key}: nothing stands under it; write `{key}: {{}}` for its defaults"):
            load_config(written(tmp_path, text))
    assert getattr(load_config(written(tmp_path, f"{key}: {{}}")), key) is not None
    assert getattr(load_config(written(tmp_path, f"{key}: null")), key) is None


def test_no_tag_has_the_name_of_the_columns_that_say_what_images_look_like(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no tag may be called images"):
        load_config(written(tmp_path, "context: {images: {from: 'metadata:images'}}"))
    images = load_config(written(tmp_path, "images: {engine: transformers, model: vit, device: cuda}")).images
    assert images is not None
    assert images.options() == {"model": "vit", "device": "cuda"}
