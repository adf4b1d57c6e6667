"""A tenant's own arms and objective, at a started router."""

from typing import Any

import pytest
from redis.asyncio import Redis

from highwayman.env.cost.objective import Objective
from highwayman.env.errors import ConfigError
from highwayman.env.types import Query
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.api_keys import KeyGrant, KeyStore
from highwayman.serving.config.config import Config
from highwayman.serving.config.tenants import TenantConfig, tenant_config
from highwayman.serving.wiring.checks import check_arms
from tests.serving.running_router import arm, ask, running_router
from tests.upstream_server import ScriptedUpstream

CHAT = "/v1/chat/completions"


async def test_a_tenants_requests_go_to_its_own_arms_alone_and_others_may_not_be_named(
    redis_client: Redis, valkey_url: str, namespace: str
) -> None:
    keys = KeyStore(redis_client, namespace, Store(redis_client, namespace))
    _, bound = await keys.add(KeyGrant("app", "bound"), at=1.0)
    _, free = await keys.add(KeyGrant("app", "free"), at=2.0)
    config = {"tenants": {"bound": {"arms": ["b", "c"]}}}
    async with (
        ScriptedUpstream() as upstream,
        running_router([arm(name, upstream.url) for name in "abcd"], valkey_url, namespace, config=config) as router,
    ):

        async def asked(key: str, model: str = "auto") -> tuple[int, str, Any]:
            headers = {"authorization": f"Bearer {key}"}
            async with router.http.post(CHAT, json=ask(model=model), headers=headers) as response:
                return response.status, response.headers.get("x-highwayman-arm", ""), await response.json()

        assert {(await asked(bound))[1] for _ in range(30)} == {"b", "c"}
        assert {(await asked(free))[1] for _ in range(60)} >= {"a", "d"}
        status, _, body = await asked(bound, "a")
        assert status == 400
        assert "is not among this tenant's arms" in body["error"]["message"]
        assert (await asked(bound, "b"))[:2] == (200, "b")


def test_a_tenants_objective_stands_in_place_of_the_routers_as_far_as_it_is_given() -> None:
    tenants = Config.model_validate(
        {"tenants": {"one": {"objective": {"points_per_usd": {"auto": 7}, "points_per_s": 0}}, "*": {"arms": ["a"]}}}
    ).tenants
    one, other = tenant_config(tenants, "one"), tenant_config(tenants, "two")
    assert one is not None
    assert other is not None
    auto, cheap = Objective("auto", 100.0, 2.0, 3.0), Objective("auto-cheap", 500.0, 2.0, 3.0)
    assert one.priced(auto) == Objective("auto", 7.0, 0.0, 3.0)
    assert one.priced(cheap) == Objective("auto-cheap", 500.0, 0.0, 3.0)
    assert other.priced(auto) == auto
    query = Query("x", 1)
    assert one.query(query) is query
    assert other.query(query).allowed == {"a"}


def test_arms_that_a_tenant_names_must_be_in_the_pool() -> None:
    config = Config.model_validate({"tenants": {"one": {"arms": ["smal"]}}})
    with pytest.raises(ConfigError, match=r"tenants\.one\.arms: there is no arm 'smal'.*did you mean 'small'"):
        check_arms(config, [arm("small", "http://x")], named_zones=())


def test_a_tenant_without_any_arm_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 item"):
        TenantConfig.model_validate({"arms": []})
