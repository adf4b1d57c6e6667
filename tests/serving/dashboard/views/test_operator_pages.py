"""Arms, policies and dollars through a started router: what is shown, what is done, what the log says of it."""

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from highwayman.env.types import Control, ControlKind
from highwayman.serving.reload.config_files import ConfigFiles
from tests.serving.running_router import Router, ask, log_of, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

ARMS, POLICIES, BUDGET = "/dashboard/arms", "/dashboard/policies", "/dashboard/budget"


class Words(HTMLParser):
    """The text of a page, as one line."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def __str__(self) -> str:
        return " ".join(" ".join(self.parts).split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the router's files are."""
    return tmp_path_factory.mktemp("files")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def router(valkey_url: str, module_namespace: str, folder: Path) -> AsyncIterator[Router]:
    """A router with files, a budget and a challenger, and some answers on its log."""
    async with ScriptedUpstream() as upstream:
        upstream.script(ANY, Say("Paris."))
        keys = {"endpoint": upstream.url, "model": "m", "context_window_tokens": 4096}
        prices = {"usd_per_mtok_in": 1.0, "usd_per_mtok_out": 1.0}
        (folder / "pool.yaml").write_text(
            yaml.safe_dump({"arms": {"small": {**keys, **prices}, "large": {**keys, **prices}}})
        )
        config = {
            "namespace": module_namespace,
            "budget": {"usd_per_day": 5.0, "hard": True},
            "tournament": {"guard": False, "challengers": [{"name": "greedy", "policy": {"name": "LinTS"}}]},
            "tenants": {"default": {"limits": {"requests_per_month": 1000}}},
        }
        (folder / "highwayman.yaml").write_text(yaml.safe_dump(config))
        loaded = ConfigFiles(folder / "pool.yaml", folder / "highwayman.yaml").load()
        given = loaded.config.model_dump(by_alias=True)
        async with running_router(
            loaded.pool.arms, valkey_url, loaded.config.namespace, config=given, loaded=loaded, named=loaded.pool.named
        ) as started:
            for _ in range(4):
                status, _, headers = await started.post("/v1/chat/completions", ask())
                assert status == 200
            await started.decision(headers["x-highwayman-decision"])
            yield started


async def page(router: Router, path: str, form: dict[str, str] | None = None) -> tuple[int, str]:
    """Status and words of a page, or of what a form of it brings."""
    method = router.http.get(path) if form is None else router.http.post(path, data=form)
    async with method as response:
        return response.status, str(Words(await response.text()))


async def test_what_is_done_to_an_arm_names_what_changed_and_who_has_taken_it(router: Router) -> None:
    status, words = await page(router, ARMS, {"verb": "drain", "arm": "small"})
    assert status == 200
    assert "small drains: it finishes what it has and gets no more. The one worker there is has taken it." in words
    assert "pool.small.state : not set → draining" in words
    assert "Changed beside the pool file by dashboard, an operator" in words
    assert (await router.get("/v1/admin/pool"))[1]["changes"]["small"]["by"] == "dashboard, an operator"
    status, words = await page(router, ARMS, {"verb": "reset", "arm": "small"})
    assert (status, "Changed beside" in words) == (200, False)


async def test_what_cannot_be_done_to_an_arm_says_why_and_changes_nothing(router: Router) -> None:
    status, words = await page(router, ARMS, {"verb": "reset", "arm": "small"})
    assert (status, "Nothing has changed: arm 'small' is as the pool file has it" in words) == (400, True)
    form = {
        "verb": "add",
        "arm": "third",
        "key.model": "m",
        "key.endpoint": "nowhere",
        "key.context_window_tokens": "4k",
    }
    status, words = await page(router, ARMS, form)
    assert (status, "context_window_tokens" in words, "Nothing has changed" in words) == (400, True, True)


async def test_an_arm_that_is_removed_can_be_put_back_and_one_that_is_added_begins_on_probation(router: Router) -> None:
    assert "Put large back" in (await page(router, ARMS, {"verb": "remove", "arm": "large"}))[1]
    assert "Put large back" not in (await page(router, ARMS, {"verb": "reset", "arm": "large"}))[1]
    form = {"key.model": "m", "key.endpoint": "http://127.0.0.1:9", "key.context_window_tokens": "4096"}
    form |= {"key.price": "unknown", "key.tools": "yes", "key.state": "probation", "key.zone": ""}
    assert "third is added to the pool" in (await page(router, ARMS, {"verb": "add", "arm": "third", **form}))[1]
    third = (await router.get("/v1/admin/pool"))[1]["arms"]["third"]
    assert third.items() >= {"state": "probation", "tools": True, "price": "unknown"}.items()
    assert "third is removed" in (await page(router, ARMS, {"verb": "remove", "arm": "third"}))[1]


async def test_another_price_is_shown_by_what_it_would_have_done_before_it_is_put_in_force(router: Router) -> None:
    asked = "usd_per_mtok_in=50&usd_per_mtok_out=50"
    status, words = await page(router, f"{ARMS}/price?arm=small&{asked}")
    assert status == 200
    assert "Put this price in force" in words
    assert (await router.get("/v1/admin/pool"))[1]["arms"]["small"]["usd_per_mtok_in"] == 1.0
    for wrong, why in (("usd_per_mtok_in=x&usd_per_mtok_out=1", "got 'x'"), ("usd_per_mtok_in=1", "Give both prices")):
        status, words = await page(router, f"{ARMS}/price?arm=small&{wrong}")
        assert (status, why in words) == (400, True)
    price = {"verb": "price", "arm": "small", "key.usd_per_mtok_in": "50", "key.usd_per_mtok_out": "50"}
    assert "small has another price." in (await page(router, ARMS, price))[1]
    assert (await router.get("/v1/admin/pool"))[1]["arms"]["small"]["usd_per_mtok_in"] == 50.0
    assert "small is as the pool file has it." in (await page(router, ARMS, {"verb": "reset", "arm": "small"}))[1]


async def test_the_newest_answers_are_set_beside_what_they_were_foretold_to_cost(router: Router) -> None:
    status, words = await page(router, f"{ARMS}/foretold")
    assert status == 200
    assert "metered for each dollar foretold" in words


async def last_control(valkey_url: str, namespace: str, kind: ControlKind) -> dict[str, object]:
    """What the newest event of a kind says."""
    events = await log_of(valkey_url, namespace)
    told = [event.detail for event in events if isinstance(event, Control) and event.kind is kind]
    return dict(told[-1])


async def test_a_challenger_is_let_in_and_sent_back_and_the_log_says_who_asked_for_it(
    router: Router, valkey_url: str, module_namespace: str
) -> None:
    assert "greedy is let in" in (await page(router, POLICIES, {"do": "promote", "policy": "greedy"}))[1]
    told = await last_control(valkey_url, module_namespace, ControlKind.TOURNAMENT)
    assert (told["step"], told["reason"]) == ("trial", "asked for by dashboard, an operator")
    assert "greedy is tried on 1.0% of the traffic" in (await page(router, POLICIES))[1]
    assert "What was given is taken back." in (await page(router, POLICIES, {"do": "roll back"}))[1]
    assert "greedy decides" in (await page(router, POLICIES, {"do": "promote at once", "policy": "greedy"}))[1]
    assert "Let configured (HierTS, as configured) decide again" in (await page(router, POLICIES))[1]
    assert (await page(router, POLICIES, {"do": "roll back"}))[0] == 200
    status, words = await page(router, POLICIES, {"do": "roll back"})
    assert (status, "Nothing has changed: nobody has a share of the traffic" in words) == (400, True)


async def test_a_version_that_is_kept_is_gone_back_to_and_the_log_says_who_asked_for_it(
    router: Router, valkey_url: str, module_namespace: str
) -> None:
    status, words = await page(router, POLICIES, {"do": "go back", "version": "1"})
    assert (status, "Back to version 1." in words) == (200, True)
    told = await last_control(valkey_url, module_namespace, ControlKind.ROLLBACK)
    assert (told["version"], told["by"]) == (1, "dashboard, an operator")
    status, words = await page(router, POLICIES, {"do": "go back", "version": "77"})
    assert (status, "version 77 is not kept" in words) == (400, True)


async def test_what_is_spent_is_told_beside_its_ceilings_and_limits_and_without_any_how_to_set_one(
    router: Router, folder: Path
) -> None:
    status, words = await page(router, BUDGET)
    assert status == 200
    assert "4 calls, all routers and tenants" in words
    assert "$5.00 a day, hard" in words
    assert "the answer is 429 budget_exhausted until midnight (UTC)" in words
    taken = re.search(r"tenant default default 1,000 requests a month (\d+)", words)
    assert taken is not None
    assert int(taken[1]) >= 4  # where they came fast, some are taken ahead
    config = yaml.safe_load((folder / "highwayman.yaml").read_text())
    (folder / "highwayman.yaml").write_text(yaml.safe_dump({**config, "budget": {}}))
    assert (await router.post("/v1/admin/reload", None))[0] == 200
    assert "No ceiling is set." in (await page(router, BUDGET))[1]
