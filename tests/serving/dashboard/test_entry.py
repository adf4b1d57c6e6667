"""Who is let in to the dashboard of a running router, and what a page may do."""

import asyncio

from highwayman.feedback.trust.api_keys import KeyGrant, KeyState, KeyStore
from highwayman.serving.auth.sessions import COOKIE
from tests.serving.running_router import Router, arm, running_router
from tests.upstream_server import ScriptedUpstream

PAGE = {"accept": "text/html"}
SIGN_IN = "/dashboard/sign-in"


async def opened(router: Router, path: str = "/dashboard", **headers: str) -> tuple[int, str]:
    async with router.http.get(path, headers={**PAGE, **headers}, allow_redirects=False) as response:
        return response.status, response.headers.get("location") or await response.text()


async def signed_in(router: Router, key: str, goal: str = "/dashboard", **headers: str) -> tuple[int, str, str]:
    """Status, where to, and the cookie that came along."""
    form = {"key": key, "next": goal}
    async with router.http.post(SIGN_IN, data=form, headers=headers, allow_redirects=False) as response:
        return response.status, response.headers.get("location", ""), response.headers.get("set-cookie", "")


async def test_without_keys_only_this_machines_own_names_and_pages_are_let_in(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    async with running_router([arm("small", upstream.url)], valkey_url, namespace) as router:
        async with router.http.get("/dashboard") as response:
            policy = response.headers["content-security-policy"]
            assert response.status == 200
            assert "<h1>Overview</h1>" in await response.text()
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert (await opened(router, host="evil.example"))[0] == 403
        assert (await signed_in(router, "x", **{"sec-fetch-site": "cross-site"}))[0] == 403
        assert (await signed_in(router, "x", origin="http://evil.example"))[0] == 403
        assert (await opened(router, "/dashboard/nothing"))[0] == 404
        assert (await opened(router, "/dashboards"))[0] == 404
        assert await opened(router, "/") == (307, "/dashboard"), "who types the address alone finds the way"
        assert (await opened(router, "/", accept="*/*"))[0] == 404, "a script is told what is served"


async def test_with_keys_a_session_is_opened_by_one_of_the_scope_admin_and_ends_with_it(
    keys: KeyStore, upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    _, plain = await keys.add(KeyGrant("app", "one"), at=1.0)
    admin, key = await keys.add(KeyGrant("ops", "ops", ("admin",)), at=2.0)
    async with running_router([arm("small", upstream.url)], valkey_url, namespace) as router:
        assert await opened(router, "/dashboard/x") == (303, f"{SIGN_IN}?next=/dashboard/x")
        assert (await opened(router, "/dashboard", **{"hx-request": "true"}))[0] == 401
        assert (await opened(router, "/dashboard/static/style.css"))[0] == 200
        assert (await opened(router, SIGN_IN))[0] == 200
        assert (await opened(router, authorization=f"Bearer {plain}"))[0] == 403
        assert (await opened(router, authorization=f"Bearer {key}"))[0] == 200
        _, playground = await opened(router, "/dashboard/playground", authorization=f"Bearer {key}")
        assert "lacks the scope <code>answers</code>" in playground  # it is there to look after the router
        assert "Which answer is better?" not in playground
        assert (await signed_in(router, "hw-none"))[0] == 401
        status, goal, cookie = await signed_in(router, key, "//evil.example/dashboard/")
        assert (status, goal) == (303, "/dashboard")
        assert {"HttpOnly", "SameSite=strict", "Path=/dashboard"} <= set(cookie.split("; "))
        session = cookie.partition(";")[0]
        assert (await opened(router, cookie=session))[0] == 200
        # A proxy may have asked for a password of its own, and called us by another name.
        assert (await opened(router, cookie=session, authorization="Basic cHJveHk6c2VjcmV0"))[0] == 200
        proxied = {"origin": "https://router.example", "sec-fetch-site": "same-origin"}
        status, _, cookie = await signed_in(router, key, **proxied)
        assert (status, "Secure" in cookie.split("; ")) == (303, True)
        async with router.http.post("/dashboard/feedback/x", data={"key": admin.id}, headers={"cookie": session}) as no:
            assert no.status == 404
        until, mac, signature = session.removeprefix(f"{COOKIE}=").split(".")
        for forged in (f"{int(until) + 1}.{mac}.{signature}", f"{until}.{mac[::-1]}.{signature}", "1.2", "..", "x.y.z"):
            assert (await opened(router, cookie=f"{COOKIE}={forged}"))[0] == 303, forged
        await keys.set_state(admin.id, KeyState.REVOKED)
        async with asyncio.timeout(5):
            while (await opened(router, cookie=session))[0] == 200:
                await asyncio.sleep(0.05)
