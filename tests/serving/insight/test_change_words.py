"""Changes in a sentence each."""

import pytest

from highwayman.env.types import ControlKind
from highwayman.feedback.fold.tallies.change_list import RecordedChange
from highwayman.serving.insight.change_words import change_words, is_told_twice

K = ControlKind


@pytest.mark.parametrize(
    ("kind", "detail", "words"),
    [
        (K.ARM_ADDED, {"arm": "abacus", "usd_per_mtok": [0.5, 2.0], "by": "kim"},
         "abacus joined the pool, at $0.5 in and $2 out a million tokens, by kim."),
        (K.ARM_ADDED, {"arm": "abacus", "usd_per_mtok": [None, None]}, "abacus joined the pool, at no price."),
        (K.PRICE_CHANGED, {"arm": "a", "usd_per_mtok": [1.0, 4.0], "before": [1.0, 2.0]},
         "The price of a went from $1 in and $2 out a million tokens to $1 in and $4 out a million tokens."),
        (K.CONFIGURATION, {"first": False, "keys": ["objectives", "policy"], "by": "kim"},
         "The configuration changed: objectives, policy, by kim."),
        (K.CONFIGURATION, {"keys": ["pool.a.state", "pool.b.c.state"], "by": "kim"},
         "The state of a, b.c changed: active, on probation or draining, by kim."),
        (K.CONFIGURATION, {"keys": ["refused"], "by": "kim"}, "A change was refused, and nothing has changed, by kim."),
        (K.POLICY_PROMOTED, {"from": None, "to": "f0"}, "Learning began."),
        (K.POLICY_PROMOTED, {"from": "e0", "to": "f0"},
         "All is learned anew from the log, by another policy, options, encoder or metrics."),
        (K.CHANGE_NOTICED, {"arm": "a", "better": False, "tenant": "acme"},
         "a was noticed to answer worse than before for acme; what was said until then counts little."),
        (K.TOURNAMENT, {"step": "promote", "champion": "bold", "reason": "asked for", "by": "hand"},
         "bold decides from here on (asked for)."),
        (K.TOURNAMENT, {"step": "trial", "champion": "configured", "challenger": "bold", "share": 0.05},
         "bold is tried on 5% of the traffic."),
        (K.TOURNAMENT, {"step": "rollback", "champion": "configured", "reason": "bold: rewards have fallen"},
         "Rolled back: the configured policy decides (bold: rewards have fallen)."),
        (K.ERASURE, {"count": 2}, "2 erasures."),
    ],
)  # fmt: skip
def test_a_change_is_told_in_a_sentence(kind: ControlKind, detail: dict[str, object], words: str) -> None:
    assert change_words(RecordedChange(1.0, kind, detail)) == words


def test_every_kind_of_change_there_is_has_a_sentence() -> None:
    for kind in ControlKind:
        assert change_words(RecordedChange(1.0, kind, {"arm": "a"})).endswith(".")


@pytest.mark.parametrize(
    ("keys", "is_twice"),
    [
        (["pool.a"], True),
        (["pool.a.usd_per_mtok_in", "pool.a.usd_per_mtok_out"], True),
        (["pool.a", "pool.b.state"], False),
        (["pool.a.profile.system"], False),
        ([], False),
    ],
)
def test_a_change_that_an_event_of_its_own_tells_is_not_told_again(keys: list[str], is_twice: bool) -> None:
    assert is_told_twice(RecordedChange(1.0, K.CONFIGURATION, {"keys": keys, "first": False})) is is_twice
