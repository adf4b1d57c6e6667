from typing import Any

import pytest

from highwayman.bandit.loading import load_policy, parse_policy, policy_name, policy_options, policy_path
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.policies.uniform import Uniform
from highwayman.bandit.policy import Policy
from highwayman.bandit.regression.linear_posterior import LinearPosterior
from highwayman.env.errors import ConfigError

LIN_TS = "highwayman.bandit.policies.lin_ts:LinTS"


def test_a_policy_is_loaded_by_its_import_path_with_its_options() -> None:
    assert isinstance(load_policy("highwayman.bandit.policies.uniform:Uniform", d=3, fingerprint="f"), Uniform)
    policy = load_policy(LIN_TS, d=3, fingerprint="f", options={"exploration": 0.5, "prior_mean": 0.7})
    assert isinstance(policy, LinTS)
    posterior = LinearPosterior(d=3, fingerprint="f", prior_mean=0.7)
    for learner in (policy, posterior):
        learner.add_arm("a")
    assert policy.state() == posterior.state()  # d and fingerprint went through: they stand in the header


def test_a_posterior_is_no_policy() -> None:
    assert not isinstance(LinearPosterior(d=1), Policy)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "LinTX",
        "highwayman.bandit.policies.lin_ts",
        "highwayman.bandit.policies.lin_ts:",
        "highwayman.bandit.policies.lin_ts:LinUCB",
        "highwayman.bandit.lints:LinTS",
        "highwayman/bandit/policies/lin_ts.py:LinTS",
        ".lin_ts:LinTS",
        ":LinTS",
    ],
)
def test_a_path_that_leads_nowhere_is_named_with_an_example_of_one_that_does(path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_policy(path, d=3, fingerprint="f")
    assert repr(path) in str(caught.value)
    assert LIN_TS in str(caught.value)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"exploraton": 1.0}, "exploraton"),
        ({"exploration": -1.0}, "exploration must be"),
        ({"exploration": "much"}, LIN_TS),
        ({"prior_precision": 0}, "prior_precision must be > 0, got 0"),
        ({"d": 4}, "'d'"),
    ],
    ids=str,
)
def test_an_option_the_policy_does_not_take_is_named(options: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_policy(LIN_TS, d=3, fingerprint="f", options=options)
    assert named in str(caught.value)


def test_a_class_without_the_methods_of_a_policy_is_refused() -> None:
    with pytest.raises(ConfigError, match="lacks a method of the Policy protocol"):
        load_policy("highwayman.bandit.regression.linear_posterior:LinearPosterior", d=3, fingerprint="f")


def test_something_that_is_no_class_is_refused() -> None:
    with pytest.raises(ConfigError, match="best_arm_probs"):
        load_policy("highwayman.bandit.best_arm:best_arm_probs", d=3, fingerprint="f")


@pytest.mark.parametrize(
    ("spec", "path", "options"),
    [
        ("LinTS", LIN_TS, {}),
        ("LinTS:exploration=0.5,prior_mean=1", LIN_TS, {"exploration": 0.5, "prior_mean": 1}),
        ("Fixed:arm=llama-8b", "highwayman.bandit.policies.fixed:Fixed", {"arm": "llama-8b"}),
        ("mine.policy:Best", "mine.policy:Best", {}),
        ("mine.policy:Best:deep=true", "mine.policy:Best", {"deep": True}),
    ],
)
def test_a_policy_is_named_by_its_class_or_its_path_with_options(
    spec: str, path: str, options: dict[str, object]
) -> None:
    assert parse_policy(spec) == (path, options)


def test_a_mistyped_name_is_told_with_the_right_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'LinTS'"):
        parse_policy("LinTs")


def test_a_policy_is_known_by_its_class_name_however_it_was_named() -> None:
    before = "highwayman.bandit.hier_ts:HierTS"  # as written before
    assert {policy_name(name) for name in ("HierTS", before, policy_path("HierTS"))} == {"HierTS"}
    assert type(load_policy(before, d=3, fingerprint="f")) is type(load_policy("HierTS", d=3, fingerprint="f"))
    assert policy_name("mine.policy:HierTS") == "mine.policy:HierTS"


@pytest.mark.parametrize(
    ("name", "option", "meant"),
    [
        ("HierTS", "patiance", "patience"),  # its own
        ("HierTS", "final_precison", "final_precision"),  # of the prior it passes on to
        ("LinTS", "halflife_hours", "half_life_hours"),  # of the class it inherits from
        ("LinTS", "prior_men", "prior_mean"),  # of the posterior which that passes on to
        ("Fixed", "Arm", "arm"),
    ],
)
def test_a_mistyped_option_is_told_with_the_right_one(name: str, option: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=rf"unknown option '{option}' \(did you mean '{meant}'\?\)"):
        load_policy(name, d=3, fingerprint="f", options={option: 1})


def test_options_that_a_policy_of_ones_own_passes_on_unsaid_are_left_to_it() -> None:
    class Mine(LinTS):
        def __init__(self, *, d: int, fingerprint: str = "", **more: Any) -> None:
            """Take anything."""

    class Told(LinTS):
        def __init__(self, *, d: int, fingerprint: str = "", depth: int = 1, **more: Any) -> None:
            """Take a depth; the rest are options of `LinTS`."""

    assert policy_options(Mine) is not None  # what LinTS takes comes next in line
    assert {"depth", "exploration", "prior_mean"} <= set(policy_options(Told) or ())
    assert policy_options(type("Loose", (), {"__init__": lambda self, **kw: None})) is None


def test_an_option_without_a_value_is_told() -> None:
    with pytest.raises(ConfigError, match="'exploration' is no option=value"):
        parse_policy("LinTS:prior_mean=0.5,exploration")
