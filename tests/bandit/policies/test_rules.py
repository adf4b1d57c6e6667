"""An operator's rules: the first that fits says who answers."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from highwayman.bandit.loading import load_policy
from highwayman.bandit.policies.rules import Rules
from highwayman.env.encoder.encoder import make_encoder
from highwayman.env.encoder.features.tags import Tag, TagColumns
from highwayman.env.errors import ConfigError
from highwayman.env.types import CLIENT_TASK, Context, Query

TASK = ("maths", "code", "chat")
ENCODER = make_encoder("static", tags=TagColumns((Tag("task", TASK), Tag("app"))))
ARMS = ("small", "large", "coder")


def context(text: str = "Hello, how are you?", **more: Any) -> Context:
    return ENCODER.encode_blocking(Query(text=text, prompt_chars=len(text), **more))


def chosen(options: dict[str, Any], seen: Context, arms: tuple[str, ...] = ARMS) -> dict[str, float]:
    policy = load_policy("Rules", d=ENCODER.d, fingerprint=ENCODER.fingerprint, options=options)
    return {arm: prob for arm, prob in zip(arms, policy.probs(seen, arms, np.zeros(len(arms))), strict=True) if prob}


@pytest.mark.parametrize(
    ("when", "fits", "does_not"),
    [
        ({"tags": {"task": ["code", "maths"]}}, context(tags=(("task", 1),)), context(tags=(("task", 2),))),
        ({"tags": {"task": "code"}}, context(tags=(("task", 1),)), context()),
        ({"prompt_tokens": {"at_least": 100}}, context(prompt_tokens=100), context(prompt_tokens=99)),
        ({"prompt_tokens": {"at_least": 10, "below": 20}}, context(prompt_tokens=10), context(prompt_tokens=20)),
        ({"tools": True}, context(tools=1), context()),
        ({"tools": False}, context(), context(tools=3)),
        ({"images": True}, context(images=1), context()),
        ({"json": True}, context(json_mode=True), context()),
        ({"later_turn": True}, context(turns=3), context(turns=1)),
        ({"script": ["arabic", "latin"]}, context(), context(script="ideograph")),
        ({"client_task": True}, replace(context(), flags=frozenset({CLIENT_TASK})), context()),
        ({"tools": True, "images": True}, context(tools=1, images=1), context(tools=1)),
    ],
)
def test_a_rule_is_for_the_requests_that_it_describes(when: dict[str, Any], fits: Context, does_not: Context) -> None:
    options = {"rules": [{"when": when, "arms": "large"}], "otherwise": "small", "tags": {"task": TASK}}
    assert chosen(options, fits) == {"large": 1.0}
    assert chosen(options, does_not) == {"small": 1.0}


def test_kinds_of_query_are_told_by_their_number() -> None:
    kinds = [
        kind
        for kind in range(30)
        if chosen({"rules": [{"when": {"kind": kind}, "arms": "coder"}]}, context()) == {"coder": 1.0}
    ]
    assert len(kinds) == 1


def test_the_first_rule_that_fits_and_has_an_arm_that_may_answer_is_followed() -> None:
    options = {
        "rules": [
            {"when": {"tools": True}, "arms": "coder"},
            {"when": {"tools": True}, "arms": {"large": 3, "small": 1}},
        ]
    }
    assert chosen(options, context(tools=1)) == {"coder": 1.0}
    assert chosen(options, context(tools=1), ("small", "large")) == {"small": 0.25, "large": 0.75}
    assert chosen(options, context(), ("small", "large")) == {"small": 0.5, "large": 0.5}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rules": [{"when": {"tool": True}, "arms": "a"}]}, r"rules\[0\].when.tool: unknown \(did you mean 'tools'"),
        ({"rules": [{"arms": "a"}]}, r"rules\[0\]: must have when and arms, got arms"),
        ({"rules": [{"when": {}, "arms": "a"}]}, "must say what a request is"),
        ({"rules": [{"when": {"tools": "yes"}, "arms": "a"}]}, "must be true or false, got 'yes'"),
        ({"rules": [{"when": {"tools": True}, "arms": {"a": 0}}]}, "weights must be numbers > 0"),
        ({"rules": [{"when": {"prompt_tokens": {"over": 5}}, "arms": "a"}]}, "at_least, below or both"),
        ({"rules": [{"when": {"kind": 30}, "arms": "a"}]}, "tells 30 kinds of query apart, from 0 on"),
        ({"rules": [{"when": {"tags": {"task": "code"}}, "arms": "a"}]}, "give its levels, too"),
        (
            {"rules": [{"when": {"tags": {"task": "code"}}, "arms": "a"}], "tags": {"task": ["code"]}},
            "no such tag with the levels code is declared",
        ),
        (
            {"rules": [{"when": {"tags": {"task": "cod"}}, "arms": "a"}], "tags": {"task": TASK}},
            "unknown level 'cod' \\(did you mean 'code'",
        ),
        ({"otherwise": 3}, "otherwise: must be keys with values, got 3"),
    ],
)
def test_what_a_rule_cannot_know_or_mean_is_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_policy("Rules", d=ENCODER.d, fingerprint=ENCODER.fingerprint, options=options)


def test_rules_say_which_arms_they_name() -> None:
    rules = [{"when": {"client_task": True}, "arms": {"a": 1, "b": 1}}]
    assert Rules(d=1, rules=rules, otherwise="a").named_arms == ("a", "b")
