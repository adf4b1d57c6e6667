import numpy as np
import pytest

from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.tenants import TenantPolicies, split_state
from highwayman.env.errors import SnapshotError
from highwayman.env.types import DEFAULT_TENANT, RewardChange


def made() -> TenantPolicies:
    policies = TenantPolicies(LinTS(d=2), lambda: LinTS(d=2))
    for arm in ("a", "b"):
        policies.add_arm(arm)
    return policies


def taught(policies: TenantPolicies, tenant: str, quality: float) -> None:
    policies.policy_for(tenant).learn([RewardChange("a", np.ones(2), 1.0, quality, quality**2)])


def test_what_one_tenant_teaches_leaves_anothers_policy_as_it_is() -> None:
    policies = made()
    before = policies.policy_for("one").state()
    taught(policies, "two", 1.0)
    taught(policies, DEFAULT_TENANT, 0.0)
    assert policies.policy_for("one").state() == before
    assert policies.policy_for("two").state() != before


def test_alone_the_default_tenants_state_is_that_of_its_policy() -> None:
    policies = made()
    taught(policies, DEFAULT_TENANT, 1.0)
    assert policies.state() == policies.policy_for(DEFAULT_TENANT).state()
    assert set(split_state(policies.state())) == {DEFAULT_TENANT}


def test_every_tenants_state_comes_back() -> None:
    policies, again = made(), made()
    taught(policies, "one", 1.0)
    taught(policies, DEFAULT_TENANT, 0.0)
    again.restore(policies.state())
    assert again.state() == policies.state()
    assert again.policy_for("one").state() == policies.policy_for("one").state()


def test_a_new_tenant_knows_all_arms_at_the_prior() -> None:
    policies = made()
    taught(policies, DEFAULT_TENANT, 1.0)
    fresh = made()
    assert policies.policy_for("late").state() == fresh.policy_for("late").state()


@pytest.mark.parametrize("damaged", [b"HWYT", b"HWYT\xc1", b"HWYT\x81\xa1x\x01", b"HWYT\x80", b"nonsense"])
def test_damaged_states_are_refused_and_change_nothing(damaged: bytes) -> None:
    policies = made()
    taught(policies, DEFAULT_TENANT, 1.0)
    before = policies.state()
    with pytest.raises(SnapshotError):
        policies.restore(damaged)
    assert policies.state() == before


def test_where_all_share_one_policy_a_state_of_several_is_refused() -> None:
    several = made()
    taught(several, "one", 1.0)
    alone = TenantPolicies(LinTS(d=2))
    assert alone.policy_for("one") is alone.policy_for(DEFAULT_TENANT)
    with pytest.raises(SnapshotError, match="several tenants"):
        alone.restore(several.state())
