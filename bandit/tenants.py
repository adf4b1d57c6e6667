"""A policy for each tenant: one tenant's feedback moves nobody else's traffic."""

from collections.abc import Callable, Mapping

import msgpack

from highwayman.bandit.policy import Policy
from highwayman.env.errors import SnapshotError
from highwayman.env.types import DEFAULT_TENANT

_MAGIC = b"HWYT"


class TenantPolicies:
    """Policies of one kind, made as tenants are met.

    As long as the default tenant is the only one, the state is that of its policy.
    """

    def __init__(self, own: Policy, make: Callable[[], Policy] | None = None) -> None:
        """Take the default tenant's policy at its prior, and what makes others; without it, all share the one."""
        self._make = make
        self._arms: dict[str, None] = {}
        self._policies = {DEFAULT_TENANT: own}

    def policy_for(self, tenant: str) -> Policy:
        """Return the tenant's policy, one at its prior for a tenant not met before."""
        if tenant not in self._policies:
            if self._make is None:
                return self._policies[DEFAULT_TENANT]
            self._policies[tenant] = self._with_arms(self._make())
        return self._policies[tenant]

    def add_arm(self, name: str) -> None:
        """Add an arm for everybody."""
        self._arms[name] = None
        for policy in self._policies.values():
            policy.add_arm(name)

    def state(self) -> bytes:
        """Return everything learned."""
        if len(self._policies) == 1:
            return self._policies[DEFAULT_TENANT].state()
        packed: bytes = msgpack.packb({name: policy.state() for name, policy in sorted(self._policies.items())})
        return _MAGIC + packed

    def restore(self, state: bytes) -> None:
        """Replace everything learned. Raises SnapshotError, and changes nothing, for bytes that cannot be used."""
        states = split_state(state)
        default_state = states.pop(DEFAULT_TENANT, None)
        if default_state is None:
            raise SnapshotError("snapshot has no state of the default tenant")
        if states and self._make is None:
            raise SnapshotError("snapshot has states of several tenants, of which this policy knows one")
        others = {}
        for name, tenant_state in states.items():
            others[name] = self._make()  # type: ignore[misc]  # checked above
            others[name].restore(tenant_state)
        self._policies[DEFAULT_TENANT].restore(default_state)
        self._policies = {
            DEFAULT_TENANT: self._policies[DEFAULT_TENANT],
            **{name: self._with_arms(policy) for name, policy in others.items()},
        }

    def _with_arms(self, policy: Policy) -> Policy:
        for name in self._arms:
            policy.add_arm(name)
        return policy


def split_state(state: bytes) -> dict[str, bytes]:
    """Return the state of each tenant's policy. Raises SnapshotError."""
    if not state.startswith(_MAGIC):
        return {DEFAULT_TENANT: state}
    try:
        states = msgpack.unpackb(state[len(_MAGIC) :])
    except (ValueError, msgpack.UnpackException) as error:
        raise SnapshotError("the tenants' states are damaged") from error
    if not (isinstance(states, Mapping) and all(isinstance(policy_state, bytes) for policy_state in states.values())):
        raise SnapshotError("the tenants' states are damaged")
    return {str(name): policy_state for name, policy_state in states.items()}
