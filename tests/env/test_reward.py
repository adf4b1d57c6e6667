import pytest

from highwayman.env.errors import InvalidFeedback
from highwayman.env.metric import Metric, MetricKind, boolean_metric
from highwayman.env.reward import DEFAULT_SPEC, RewardSpec, reward_spec
from highwayman.env.types import Feedback, Reward


def said(metric: str, value: float | None, *, source: str = "user", weight: float = 1.0) -> Feedback:
    return Feedback("f1", "d1", 0.0, source, metric, value, weight)


def test_the_version_of_metrics_is_the_same_in_every_release_as_states_are_found_by_it() -> None:
    assert (DEFAULT_SPEC.version, reward_spec([boolean_metric("graded")]).version) == (1, 424_589_329)
    assert reward_spec([]) is DEFAULT_SPEC


@pytest.mark.parametrize(
    ("metric", "value", "quality"),
    [("thumbs", 1.0, 1.0), ("thumbs", 0.0, 0.0), ("rating", 1.0, 0.0), ("rating", 4.0, 0.75), ("quality", 0.3, 0.3)],
)
def test_a_single_statement_is_mapped_linearly_from_its_range(metric: str, value: float, quality: float) -> None:
    assert DEFAULT_SPEC.reward([said(metric, value)]) == Reward(quality, 1.0, {f"user:{metric}": quality})


@pytest.mark.parametrize(
    "history", [[], [said("thumbs", None)], [said("stars", 4.0)], [said("thumbs", 1.0, weight=0.0)]]
)
def test_nothing_known_is_censored_with_weight_zero(history: list[Feedback]) -> None:
    assert DEFAULT_SPEC.reward(history).weight == 0.0


def test_a_newer_value_of_the_same_source_replaces_the_older() -> None:
    assert DEFAULT_SPEC.reward([said("thumbs", 1.0), said("thumbs", 0.0)]) == DEFAULT_SPEC.reward([said("thumbs", 0.0)])


def test_a_retraction_removes_what_was_said_and_a_later_value_stands_again() -> None:
    retracted = [said("thumbs", 1.0), said("rating", 5.0), said("thumbs", None)]
    assert DEFAULT_SPEC.reward(retracted) == DEFAULT_SPEC.reward([said("rating", 5.0)])
    again = [*retracted, said("thumbs", 0.0)]
    assert DEFAULT_SPEC.reward(again).parts == {"user:thumbs": 0.0, "user:rating": 1.0}


def test_a_retraction_leaves_what_another_source_said() -> None:
    history = [said("thumbs", 1.0), said("thumbs", 0.0, source="grader"), said("thumbs", None, source="grader")]
    assert DEFAULT_SPEC.reward(history) == DEFAULT_SPEC.reward([said("thumbs", 1.0)])


def test_several_statements_are_averaged_by_the_weights_of_metric_and_feedback() -> None:
    spec = RewardSpec(
        {"thumbs": Metric("thumbs", MetricKind.BOOLEAN), "judge": Metric("judge", high=10.0, weight=0.5)}, 7
    )
    history = [said("thumbs", 1.0, weight=2.0), said("judge", 4.0, source="judge", weight=4.0)]
    reward = spec.reward(history)
    assert reward.weight == pytest.approx(2.0 * 1.0 + 4.0 * 0.5)
    assert reward.quality == pytest.approx((2.0 * 1.0 + 2.0 * 0.4) / 4.0)
    assert reward.parts == {"user:thumbs": 1.0, "judge:judge": 0.4}
    assert reward.spec == 7


@pytest.mark.parametrize(
    ("metric", "value", "number"),
    [
        ("thumbs", True, 1.0),
        ("thumbs", False, 0.0),
        ("thumbs", 1, 1.0),
        ("thumbs", 0.0, 0.0),
        ("rating", 1, 1.0),
        ("rating", 5.0, 5.0),
        ("rating", 3.5, 3.5),
        ("quality", 0, 0.0),
    ],
)
def test_a_value_in_range_is_filed_as_a_number(metric: str, value: float, number: float) -> None:
    checked = DEFAULT_SPEC.parse_value(metric, value)
    assert checked == number
    assert type(checked) is float


@pytest.mark.parametrize("metric", ["thumbs", "rating", "quality"])
def test_null_retracts_any_metric(metric: str) -> None:
    assert DEFAULT_SPEC.parse_value(metric, None) is None


@pytest.mark.parametrize(
    ("metric", "value", "told"),
    [
        ("stars", 4.0, "unknown metric 'stars'; declared are thumbs, rating, quality"),
        ("thumbs", 0.5, "takes true or false"),
        ("thumbs", -1, "takes true or false"),
        ("thumbs", float("nan"), "takes true or false"),
        ("rating", 0, "takes 1 to 5, got 0"),
        ("rating", 5.01, "takes 1 to 5, got 5.01"),
        ("rating", True, "takes 1 to 5, got True"),
        ("quality", True, "takes 0 to 1, got True"),
        ("quality", float("nan"), "takes 0 to 1"),
        ("quality", float("-inf"), "takes 0 to 1"),
    ],
)
def test_a_value_out_of_its_range_is_refused_with_the_range(metric: str, value: float, told: str) -> None:
    with pytest.raises(InvalidFeedback) as caught:
        DEFAULT_SPEC.parse_value(metric, value)
    assert told in str(caught.value)


def test_a_version_of_metrics_fits_31_bits_and_is_never_the_default_ones() -> None:
    versions = {reward_spec([boolean_metric(f"graded{n}")]).version for n in range(50)}
    assert len(versions) == 50
    assert 2 <= min(versions) < max(versions) < 2**31
