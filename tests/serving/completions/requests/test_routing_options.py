import pytest

from highwayman.env.cost.objective import Objective
from highwayman.env.cost.pool_spread import PoolSpread
from highwayman.serving.completions.requests.routing_options import RoutingOptions, parse_routing_options
from highwayman.serving.http.validation import BadRequest

AUTO, SPREAD = Objective("auto", 1_500.0), PoolSpread(usd=0.02)


def scope(**headers: str) -> dict[str, object]:
    return {"headers": [(f"x-highwayman-{name.replace('_', '-')}".encode(), value.encode()) for name, value in
                        headers.items()]}  # fmt: skip


def test_no_header_is_no_wish() -> None:
    assert parse_routing_options(scope()) == RoutingOptions()
    assert RoutingOptions().apply_to(AUTO, SPREAD) == AUTO


@pytest.mark.parametrize(
    ("word", "alias"), [("quality", "auto-quality"), ("balanced", "auto"), ("Cheap", "auto-cheap")]
)
def test_an_objective_is_named_in_a_word(word: str, alias: str) -> None:
    assert parse_routing_options(scope(objective=word)) == RoutingOptions(alias=alias)


def test_an_objective_may_be_a_number() -> None:
    assert (
        parse_routing_options(scope(objective="0.4"))
        == RoutingOptions(cost_weight=0.4)
        == parse_routing_options(scope(cost_weight="0.4"))
    )


def test_limits_and_exploration() -> None:
    wish = parse_routing_options(scope(max_usd="0.002", min_quality="0.7", explore="off"))
    assert wish.apply_to(AUTO, SPREAD) == Objective("auto", 1_500.0, max_usd=0.002, min_quality=0.7, explore=False)


def test_what_a_dollar_is_worth_is_given_in_points_or_as_a_weight_that_refers_to_the_pool() -> None:
    points = parse_routing_options(scope(points_per_usd="4000"))
    assert points.apply_to(AUTO, SPREAD).points_per_usd == 4_000.0
    assert parse_routing_options(scope(cost_weight="0.4")).apply_to(AUTO, SPREAD).points_per_usd == pytest.approx(2e3)
    assert parse_routing_options(scope(points_per_usd="0")).apply_to(AUTO, SPREAD).points_per_usd == 0.0


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"objective": "best"}, "x-highwayman-objective: must be balanced, cheap, quality, or a cost weight"),
        ({"objective": "nan"}, "x-highwayman-objective: must be"),
        ({"objective": "0.1", "cost_weight": "0.2"}, "give one of them"),
        ({"points_per_usd": "10", "cost_weight": "0.2"}, "give one of them"),
        ({"objective": "0.1", "points_per_usd": "10"}, "give one of them"),
        ({"points_per_usd": "-1"}, r"x-highwayman-points-per-usd: must be a number in \[0, 1e\+12\]"),
        ({"cost_weight": "-1"}, "x-highwayman-cost-weight: must be a number >= 0"),
        ({"max_usd": "free"}, "x-highwayman-max-usd: must be a number >= 0"),
        ({"min_quality": "70"}, r"x-highwayman-min-quality: must be a number in \[0, 1\]"),
        ({"explore": "maybe"}, "x-highwayman-explore: must be true or false"),
    ],
)
def test_a_wish_nobody_can_follow_is_named(headers: dict[str, str], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        parse_routing_options(scope(**headers))
