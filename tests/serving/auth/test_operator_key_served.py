"""The operator's key of a state folder, and tenants that an admin names, on a started router."""

import stat
from pathlib import Path

from highwayman.feedback.trust.api_keys import KeyGrant, KeyStore
from highwayman.serving.state.operator_key import local_key, operator_key, operator_key_path
from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ScriptedUpstream

CHAT = "/v1/chat/completions"


async def status_of(router: Router, path: str, key: str | None, **headers: str) -> int:
    given = {"authorization": f"Bearer {key}"} if key else {}
    async with router.http.get(path, headers={**given, **headers}) as response:
        return response.status


async def test_the_machines_own_key_closes_nothing_and_opens_all_once_others_do(
    keys: KeyStore, upstream: ScriptedUpstream, valkey_url: str, namespace: str, tmp_path: Path
) -> None:
    arms = [arm("small", upstream.url)]
    async with running_router(arms, valkey_url, namespace, state=tmp_path) as router:
        own = local_key(router.url, tmp_path)
        assert own is not None
        assert await status_of(router, "/v1/policy", None) == 200
    assert stat.S_IMODE(operator_key_path(tmp_path).stat().st_mode) == 0o600
    tmp_path = tmp_path.with_name("another")
    operator_key(tmp_path)
    await keys.add(KeyGrant("app", "one"), at=1.0)
    async with running_router(arms, valkey_url, namespace, state=tmp_path) as router:
        assert await status_of(router, "/v1/policy", None) == 401
        assert await status_of(router, "/v1/policy", own) == 401
        assert await status_of(router, "/v1/policy", local_key(router.url, tmp_path)) == 200


def test_a_state_folders_key_is_made_once_and_goes_to_no_other_machine(tmp_path: Path) -> None:
    key = operator_key(tmp_path / "state")
    assert key == operator_key(tmp_path / "state") == local_key("http://localhost:8790", tmp_path / "state")
    assert local_key("http://router.example:8790", tmp_path / "state") is None
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["operator.key"]


def test_a_state_folder_that_cannot_be_written_to_has_no_key(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert operator_key(tmp_path / "file") is None


async def test_an_admin_sees_a_tenant_by_naming_it_and_nobody_else_does(
    keys: KeyStore, upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    _, app = await keys.add(KeyGrant("app", "one"), at=1.0)
    _, other = await keys.add(KeyGrant("app", "two"), at=2.0)
    _, admin = await keys.add(KeyGrant("ops", "ops", ("admin",)), at=3.0)
    async with running_router([arm("small", upstream.url)], valkey_url, namespace) as router:
        async with router.http.post(CHAT, json=ask(), headers={"authorization": f"Bearer {app}"}) as response:
            path = f"/v1/decisions/{response.headers['x-highwayman-decision']}"
        assert await status_of(router, path, app) == 200
        assert await status_of(router, path, admin) == 404
        assert await status_of(router, f"{path}?tenant=one", admin) == 200
        assert await status_of(router, path, admin, **{"x-highwayman-tenant": "one"}) == 200
        assert await status_of(router, f"{path}?tenant=one", other) == 403
        assert await status_of(router, "/v1/savings?tenant=one", admin) == 200
