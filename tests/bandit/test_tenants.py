import numpy as np
import pytest

from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.tenants import ByTenant, parts
from highwayman.env.errors import SnapshotError
from highwayman.env.types import TENANT, RewardChange


def made() -> ByTenant:
    policies = ByTenant(LinTS(d=2), lambda: LinTS(d=2))
    for arm in ("a", "b"):
        policies.add_arm(arm)
    return policies


def taught(policies: ByTenant, tenant: str, quality: float) -> None:
    policies.of(tenant).learn([RewardChange("a", np.ones(2), 1.0, quality, quality**2)])


def test_what_one_tenant_teaches_leaves_anothers_policy_as_it_is() -> None:
    policies = made()
    before = policies.of("one").state()
    taught(policies, "two", 1.0)
    taught(policies, TENANT, 0.0)
    assert policies.of("one").state() == before
    assert policies.of("two").state() != before


def test_alone_the_default_tenants_state_is_that_of_its_policy() -> None:
    policies = made()
    taught(policies, TENANT, 1.0)
    assert policies.state() == policies.of(TENANT).state()
    assert set(parts(policies.state())) == {TENANT}


def test_every_tenants_state_comes_back() -> None:
    policies, again = made(), made()
    taught(policies, "one", 1.0)
    taught(policies, TENANT, 0.0)
    again.restore(policies.state())
    assert again.state() == policies.state()
    assert again.of("one").state() == policies.of("one").state()


def test_a_new_tenant_knows_all_arms_at_the_prior() -> None:
    policies = made()
    taught(policies, TENANT, 1.0)
    fresh = made()
    assert policies.of("late").state() == fresh.of("late").state()


@pytest.mark.parametrize("damaged", [b"HWYT", b"HWYT\xc1", b"HWYT\x81\xa1x\x01", b"HWYT\x80", b"nonsense"])
def test_damaged_states_are_refused_and_change_nothing(damaged: bytes) -> None:
    policies = made()
    taught(policies, TENANT, 1.0)
    before = policies.state()
    with pytest.raises(SnapshotError):
        policies.restore(damaged)
    assert policies.state() == before


def test_where_all_share_one_policy_a_state_of_several_is_refused() -> None:
    several = made()
    taught(several, "one", 1.0)
    alone = ByTenant(LinTS(d=2))
    assert alone.of("one") is alone.of(TENANT)
    with pytest.raises(SnapshotError, match="several tenants"):
        alone.restore(several.state())
