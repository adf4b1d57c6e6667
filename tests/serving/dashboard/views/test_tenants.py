"""Pages of another tenant: whose they are is said, and where they lead stays there."""

import re

from tests.serving.running_router import arm, running_router
from tests.upstream_server import ScriptedUpstream


async def test_a_page_of_another_tenant_says_so_its_links_stay_there_and_all_that_have_limits_are_told(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    tenants = {**{f"t{k}": {} for k in range(60)}, "last": {"limits": {"requests_per_day": 7}}}
    async with running_router(
        [arm("small", upstream.url)], valkey_url, namespace, config={"tenants": tenants}
    ) as router:
        for path in ("", "/map", "/why"):
            async with router.http.get(f"/dashboard{path}?tenant=a%26b") as response:
                text = await response.text()
            links = [link for link in re.findall(r'href="(/dashboard[^"]*)"', text) if "/static/" not in link]
            assert "tenant a&amp;b" in text
            assert len(links) > 10
            assert all(link.endswith("tenant=a%26b") for link in links), links
        async with router.http.get("/dashboard?tenant=default") as response:
            assert "tenant=" not in re.sub(r'hx-get="[^"]*"', "", await response.text())
        async with router.http.get("/dashboard/budget") as response:
            assert "<td>last</td><td>7 requests a day</td>" in await response.text()
