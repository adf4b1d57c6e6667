"""More confidential data is never freer for want of a rule."""

from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.data_class import DataClass, told_by
from highwayman.env.privacy.rules import PrivacyRules

ZONES = st.frozensets(st.sampled_from(["eu", "home", "vault"]))


@given(st.dictionaries(st.sampled_from(DataClass), ZONES), st.sampled_from(DataClass), st.sampled_from(DataClass))
def test_a_class_is_under_its_own_rule_or_under_that_of_the_next_lower_one(
    zones: dict[DataClass, frozenset[str]], stored: DataClass, asked: DataClass
) -> None:
    clearance = PrivacyRules(zones, stored=stored).clearance(asked)
    ruled = [data_class for data_class in zones if data_class <= asked]
    assert clearance.zones == (zones[max(ruled)] if ruled else None)
    assert clearance.rule == (f"privacy.classes.{max(ruled).label}" if ruled else "")
    assert all(clearance.admits(zone) == (not ruled or zone in zones[max(ruled)]) for zone in ("eu", "home", "default"))
    assert clearance.is_stored == (asked <= stored)


def test_the_flags_of_a_decision_tell_class_rule_and_who_says_so() -> None:
    rules = PrivacyRules({DataClass.PERSONAL: ["home"]}, stored=DataClass.INTERNAL)
    clearance = rules.clearance(DataClass.SECRET, ("api_key",), ("email",))
    assert told_by(clearance.flags) == {
        "class": "secret", "rule": "privacy.classes.personal", "classed_by": ["api_key"], "masked": [],
        "redacted": ["email"], "stored": False,
    }  # fmt: skip
    assert told_by({"encoder_timeout"}) is None
