"""What an earlier release learned and wrote, under the import paths that its policies had, is read as it was.

fixtures/ holds what that release left in Redis (published.json) and on a disk (version.hwym) after twelve thumbs.
"""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis.asyncio as aioredis

from highwayman.bandit.loading import load_policy, policy_path, shipped_policies
from highwayman.bandit.policy import Policy
from highwayman.bandit.tenants import TenantPolicies
from highwayman.env.types import Context
from highwayman.feedback.learning import snapshot_file
from highwayman.feedback.learning.publications import Publications, Published, lineage
from highwayman.feedback.learning.version_history import VersionHistory
from highwayman.feedback.log.store import Keys

FIXTURES = Path(__file__).parent / "fixtures"
BEFORE: dict[str, Any] = json.loads((FIXTURES / "published.json").read_text())


def make_policy() -> Policy:
    """Return the policy as that release had it: it explored single queries as it did arms as a whole."""
    return load_policy("HierTS", d=3, fingerprint="fixture", options={"query_exploration": 1.0})


def decides_as_before(published: Published) -> bool:
    """Whether the state, restored, gives the probabilities that the release which wrote it gave.

    To 1e-6: that release integrated them on another grid.
    """
    policies = TenantPolicies(make_policy(), make_policy)
    policies.restore(published.snapshot.policy)
    context = Context(np.array(BEFORE["features"]), "fixture", prompt_tokens=10)
    probs = policies.policy_for("default").probs(context, BEFORE["arms"], np.zeros(2))
    return bool((np.abs(probs - BEFORE["probs"]) < 1e-6).all())


@pytest.mark.parametrize("name", sorted(BEFORE["lineages"]))
def test_a_policy_by_its_name_is_the_lineage_that_its_path_was(name: str) -> None:
    path, written = BEFORE["lineages"][name]
    assert lineage(name, {}, "fixture", 1) == written
    assert lineage(path, {}, "fixture", 1) == written
    assert lineage(policy_path(name), {}, "fixture", 1) == written


def test_every_policy_of_that_release_is_still_shipped() -> None:
    assert set(BEFORE["lineages"]) <= set(shipped_policies())


def test_options_make_another_lineage_under_either_name() -> None:
    path = BEFORE["lineages"]["HierTS"][0]
    changed = lineage("HierTS", {"patience": 9}, "fixture", 1)
    assert changed == lineage(path, {"patience": 9}, "fixture", 1)
    assert changed != BEFORE["lineage"]


async def test_a_version_published_before_comes_into_force_and_can_be_rolled_back_to(
    redis_client: aioredis.Redis, namespace: str
) -> None:
    name, keys = lineage("HierTS", {}, "fixture", 1), Keys(namespace)
    for kind, fields in BEFORE["hashes"].items():
        values = {field: base64.b64decode(value) for field, value in fields.items()}
        await redis_client.hset(keys(kind, BEFORE["lineage"]), mapping=values)
    published = await Publications(redis_client, namespace, name).load()
    assert published is not None
    assert published.stamp.version == BEFORE["version"]
    assert published.snapshot.position == BEFORE["position"]
    assert decides_as_before(published)
    versions = VersionHistory(redis_client, namespace, name)
    kept = [about.version for about in await versions.all()]
    assert kept == [BEFORE["version"]]
    rolled_back = await versions.load(BEFORE["version"])
    assert rolled_back is not None
    assert decides_as_before(rolled_back)


def test_a_file_saved_before_is_read() -> None:
    assert decides_as_before(
        snapshot_file.read_snapshot(FIXTURES / "version.hwym", lineage=lineage("HierTS", {}, "fixture", 1))
    )
