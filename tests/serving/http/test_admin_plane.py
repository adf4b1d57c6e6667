"""The operator's routes on a port of their own, at a started router."""

import aiohttp
import pytest

from highwayman.env.errors import ConfigError
from highwayman.serving.config.config import Config
from highwayman.serving.processes.admin_listeners import admin_listeners
from tests.ports import free_port
from tests.serving.running_router import arm, ask, running_router
from tests.upstream_server import ScriptedUpstream

CHAT = "/v1/chat/completions"
READ = ("/v1/savings", "/v1/history", "/v1/kinds", "/v1/map", "/v1/tournament", "/v1/decisions")
ADMIN = ("/metrics", "/v1/policy", "/v1/policy/", *READ)


async def test_one_port_has_the_operators_routes_and_the_other_the_rest_and_both_say_whether_they_are_well(
    valkey_url: str, namespace: str
) -> None:
    port = free_port()
    listeners = admin_listeners("127.0.0.1", port, shared=False)
    config = {"admin": {"port": port}, "control": {}}
    async with (
        ScriptedUpstream() as upstream,
        running_router([arm("a", upstream.url)], valkey_url, namespace, config=config, also=listeners) as router,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as admin,
    ):
        for path in ADMIN:
            assert (await router.http.get(path)).status == 404, path
            assert (await admin.get(path)).status == 200, path
        status, _, headers = await router.post(CHAT, ask())
        assert status == 200
        assert (await router.get(f"/v1/decisions/{headers['x-highwayman-decision']}"))[0] == 200
        async with admin.post(CHAT, json=ask()) as response:
            assert response.status == 404
            assert "this is the admin port" in (await response.json())["error"]["message"]
        for client in (router.http, admin):
            assert (await client.get("/readyz")).status == 200
        assert (await router.post("/v1/admin/reload", {}))[0] == 404


async def test_without_an_admin_port_all_routes_are_on_the_one_there_is(valkey_url: str, namespace: str) -> None:
    async with (
        ScriptedUpstream() as upstream,
        running_router([arm("a", upstream.url)], valkey_url, namespace) as router,
    ):
        assert (await router.http.get("/metrics")).status == 200
        assert (await router.post(CHAT, ask()))[0] == 200


def test_the_admin_plane_is_on_loopback_unless_told() -> None:
    assert Config().admin is None
    admin = Config.model_validate({"admin": {"port": 9100}}).admin
    assert admin is not None
    assert (admin.host, admin.port) == ("127.0.0.1", 9100)


def test_workers_share_the_admin_port_and_another_router_does_not() -> None:
    port = free_port()
    listeners = [*admin_listeners("127.0.0.1", port, shared=True), *admin_listeners("127.0.0.1", port, shared=True)]
    try:
        with pytest.raises(ConfigError, match=f"admin port {port} on 127.0.0.1 cannot be had"):
            admin_listeners("127.0.0.1", port, shared=False)
    finally:
        for listener in listeners:
            listener.close()
