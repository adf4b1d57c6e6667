"""What a configuration comes to where decisions are made and calls go out."""

from typing import Any

import pytest

from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.policies.uniform import Uniform
from highwayman.bandit.probation import ProbationQuota
from highwayman.env.errors import ConfigError
from highwayman.env.upstream.calls.sending import UpstreamTimeouts
from highwayman.feedback.calibration.calibrator import CalibrationSettings
from highwayman.feedback.trust.anomaly_detector import AnomalyThresholds
from highwayman.feedback.trust.influence_caps import InfluenceCaps
from highwayman.serving.config.config import Config
from highwayman.serving.http.validation import BodyLimits
from highwayman.serving.wiring.routing import exploration_rules, upstream_timeouts


def config(**sections: Any) -> Config:
    return Config.model_validate(sections)


def test_each_of_a_calls_times_is_the_configurations_own() -> None:
    limits = config(limits={"connect_s": 1, "first_byte_s": 20, "silence_s": 30, "all_attempts_s": 400}).limits
    times = upstream_timeouts(limits)
    assert (times.connect_s, times.first_byte_s, times.silence_s, times.all_attempts_s) == (1, 20, 30, 400)
    assert times.least_patience_s == UpstreamTimeouts().least_patience_s  # what no configuration names stays


def test_what_may_be_tried_out_is_what_is_configured() -> None:
    wanted = config(trial={"share": 0.25, "max_usd": 4.0}, exploration={"usd_per_day": 2.0})
    rules = exploration_rules(wanted, LinTS(d=1))
    assert rules.quota == ProbationQuota(0.25, 4.0)
    assert rules.cap is not None
    assert rules.cap.counts_usd
    assert exploration_rules(config(), LinTS(d=1)).cap is None


def test_a_cap_on_regret_needs_a_policy_that_says_what_it_expects_and_one_in_dollars_does_not() -> None:
    regret, dollars = config(exploration={"regret_per_request": 0.01}), config(exploration={"usd_per_day": 1.0})
    assert exploration_rules(regret, LinTS(d=1)).cap is not None
    assert exploration_rules(dollars, Uniform(d=1)).cap is not None
    with pytest.raises(ConfigError, match=r"exploration\.regret_per_request: policy .* does not say what quality"):
        exploration_rules(regret, Uniform(d=1))


def test_what_a_configuration_leaves_out_is_what_its_parts_are_without_one() -> None:
    nothing = config()
    assert upstream_timeouts(nothing.limits) == UpstreamTimeouts()
    assert nothing.limits.body_limits() == BodyLimits()
    assert nothing.trial.quota() == ProbationQuota()
    assert nothing.feedback.influence.caps() == InfluenceCaps()
    assert nothing.feedback.calibration.settings() == CalibrationSettings()
    assert nothing.feedback.alarm.thresholds() == AnomalyThresholds()
