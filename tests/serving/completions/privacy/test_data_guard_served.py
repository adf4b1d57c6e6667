"""Rules of privacy on a running router: whoever says that a request is confidential is believed."""

import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import pytest
import pytest_asyncio

from highwayman.env.data_class import DataClass
from highwayman.env.errors import ConfigError
from highwayman.env.privacy.detector import Detection
from highwayman.env.types import Arm, Decision
from highwayman.serving.config.config import Config
from highwayman.serving.config.privacy import PrivacyConfig
from tests.serving.running_router import Router, arm, ask, log_of, running_router
from tests.upstream_server import Fail, ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
CARD, KEY = "4111 1111 1111 1111", "sk-proj-0123456789abcdefghij"
RULES = {"classes": {"internal": ["eu", "home"], "personal": ["home"], "secret": []}, "tenants": {"hr": "personal"}}


class Slow:
    """Looks at a text for longer than it may, if the text asks for it; or fails, or ends the process."""

    def detect(self, text: str) -> Iterable[Detection]:
        if "slowly" in text:
            time.sleep(0.3)
        if "exit" in text:
            raise SystemExit(1)
        if "raise" in text:
            raise RuntimeError(text)
        yield from (Detection("word", DataClass.INTERNAL, 0, 4) for _ in range("word" in text))


def pool(upstream: ScriptedUpstream) -> list[Arm]:
    zones = {"far": "default", "near": "eu", "own": "home"}
    return [replace(arm(name, upstream.url, window=10**6), zone=zone) for name, zone in zones.items()]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(upstream: ScriptedUpstream, valkey_url: str, module_namespace: str) -> AsyncIterator[Router]:
    async with running_router(pool(upstream), valkey_url, module_namespace, config={"privacy": RULES}) as started:
        yield started


async def sent(router: Router, body: dict[str, Any], **headers: str) -> tuple[int, dict[str, Any], str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with router.http.post(CHAT, json=body, headers=named) as response:
        return response.status, await response.json(), response.headers.get("x-highwayman-decision", "")


@pytest.mark.parametrize(
    ("body", "headers", "told", "origin", "arms"),
    [
        (ask("Hello"), {"x_highwayman_data_class": "Internal"}, "internal", ["caller"], {"near", "own"}),
        (ask("Hello", metadata={"data_class": "personal"}), {}, "personal", ["caller"], {"own"}),
        (ask(f"Pay with {CARD}"), {}, "personal", ["payment_card"], {"own"}),
        (ask(f"Pay with {CARD}"), {"x_highwayman_data_class": "public"}, "personal", ["payment_card"], {"own"}),
        (ask("Hi", metadata={"mail": "ann@example.org"}), {}, "personal", ["email"], {"own"}),
    ],
)
async def test_only_arms_of_allowed_zones_are_candidates_and_the_decision_says_why(
    router: Router, body: dict[str, Any], headers: dict[str, str], told: str, origin: list[str], arms: set[str]
) -> None:
    status, answer, decision_id = await sent(router, body, **headers)
    assert status == 200, answer
    view = await router.decision(decision_id)
    assert set(view["arms"]) == arms
    assert (view["privacy"]["class"], view["privacy"]["classed_by"]) == (told, origin)
    assert set(view["privacy"]["masked"]) == {"far", "near", "own"} - arms
    assert view["privacy"]["rule"] == f"privacy.classes.{told}"


async def test_of_what_nobody_says_anything_nothing_is_kept_from_anybody(router: Router) -> None:
    status, _, decision_id = await sent(router, ask("Hello"))
    view = await router.decision(decision_id)
    assert (status, view["privacy"], len(view["arms"])) == (200, None, 3)


@pytest.mark.parametrize("stream", [False, True])
async def test_what_no_arm_may_have_is_refused_by_class_and_rule_and_never_by_its_text(
    router: Router, upstream: ScriptedUpstream, stream: bool
) -> None:
    before = len(upstream.requests)
    status, answer, _ = await sent(router, ask(f"Is {KEY} still valid?", stream=stream))
    assert (status, answer["error"]["code"]) == (403, "data_class_not_allowed")
    assert answer["error"]["message"] == (
        "No arm that could answer may have this request, which is secret (so says: api_key): "
        "rule privacy.classes.secret allows no zone."
    )
    assert KEY not in str(answer)
    assert len(upstream.requests) == before


async def test_an_arm_that_is_named_is_no_exception(router: Router) -> None:
    status, answer, _ = await sent(router, ask(f"Pay with {CARD}", model="far"))
    assert (status, answer["error"]["code"]) == (403, "data_class_not_allowed")
    assert "'far'" in answer["error"]["message"]
    status, _, _ = await sent(router, ask(f"Pay with {CARD}", model="own"))
    assert status == 200


async def test_an_image_is_secret_as_nobody_reads_it(router: Router) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    body = {"model": "auto", "messages": [{"role": "user", "content": [image]}]}
    status, answer, _ = await sent(router, body)
    assert status in (400, 403)  # no arm of this pool reads images, either
    assert "may not have secret data (so says: unread)" in answer["error"]["message"]


@pytest.mark.parametrize("more", [{}, {"metadata": {"data_class": "internal"}}])
async def test_a_long_text_is_read_to_its_end(router: Router, more: dict[str, Any]) -> None:
    status, answer, _ = await sent(router, ask("word " * 40_000 + KEY, **more))
    assert (status, answer["error"]["code"]) == (403, "data_class_not_allowed")


async def test_of_several_classes_that_a_caller_gives_the_highest_counts(router: Router) -> None:
    headers = [("x-highwayman-data-class", name) for name in ("public", "personal", "internal")]
    async with router.http.post(CHAT, json=ask("Hi", metadata={"data_class": "public"}), headers=headers) as response:
        assert response.headers["x-highwayman-arm"] == "own"


async def test_a_class_that_is_none_is_refused(router: Router) -> None:
    status, answer, _ = await sent(router, ask(), x_highwayman_data_class="topsecret")
    assert (status, answer["error"]["param"]) == (400, "x-highwayman-data-class")
    assert "public, internal, personal, secret" in answer["error"]["message"]


async def test_failover_stays_within_the_zones(router: Router, upstream: ScriptedUpstream) -> None:
    upstream.reset()
    upstream.script("near-upstream", Fail(500, message=f"cannot charge {CARD}"))
    upstream.script("own-upstream", Fail(500, message=f"cannot charge {CARD}"))
    status, answer, _ = await sent(router, ask("Hello there", metadata={"data_class": "internal"}))
    assert status == 502, answer
    assert {request["model"] for request in upstream.requests} == {"near-upstream", "own-upstream"}
    upstream.reset()


async def test_a_metric_counts_what_was_masked(router: Router) -> None:
    await sent(router, ask(f"Pay with {CARD}"))
    async with router.http.get("/metrics") as response:
        text = await response.text()
    assert 'highwayman_masked_total{data_class="personal",rule="privacy.classes.personal"}' in text
    assert 'highwayman_refused_total{code="data_class_not_allowed"}' in text
    assert 'degraded_contexts_total{flag="data_class' not in text


async def test_a_detector_that_fails_in_any_way_makes_a_request_secret(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    config = {"privacy": {**RULES, "detector": f"{__name__}:Slow", "detector_s": 0.05}}
    async with running_router(pool(upstream), valkey_url, namespace, config=config) as router:
        before = len(upstream.requests)
        for text in ("slowly", "raise", "exit"):
            status, answer, _ = await sent(router, ask(text))
            assert (status, answer["error"]["code"]) == (403, "data_class_not_allowed"), text
            assert "which is secret (so says: detector_failed)" in answer["error"]["message"]
        assert len(upstream.requests) == before
        status, _, decision_id = await sent(router, ask("a word"))
        assert status == 200
        assert (await router.decision(decision_id))["privacy"]["classed_by"] == ["word"]


async def test_prompts_of_a_class_above_what_may_be_stored_are_not_stored(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    config = {"privacy": RULES, "retention": {"prompts": True}, "answer_cache": {}}
    async with running_router(pool(upstream), valkey_url, namespace, config=config) as router:
        for text in ("What is 2 + 2?", f"Pay with {CARD}"):
            _, _, decision_id = await sent(router, ask(text))
            await router.decision(decision_id)
    prompts = [event.prompt for event in await log_of(valkey_url, namespace) if isinstance(event, Decision)]
    assert prompts == ["What is 2 + 2?", None]


async def test_an_encoder_elsewhere_gets_no_text_that_its_zone_may_not_have(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    config = {"privacy": {**RULES, "encoder_zone": "eu"}}
    async with running_router(pool(upstream), valkey_url, namespace, config=config) as router:
        _, _, allowed = await sent(router, ask("Hello", metadata={"data_class": "internal"}))
        _, _, barred = await sent(router, ask("Hello", metadata={"data_class": "personal"}))
        assert "encoder_masked" not in (await router.decision(allowed))["context"]["flags"]
        assert "encoder_masked" in (await router.decision(barred))["context"]["flags"]


async def test_what_cannot_be_followed_is_told() -> None:
    with pytest.raises(ConfigError, match=r"privacy.classes.secret: no arm of the pool has `zone: hoem` \(did you"):
        PrivacyConfig(classes={"secret": ["hoem"]}).check_zones(["default", "home"])
    with pytest.raises(ConfigError, match=r"privacy.detector: 'nothing:At': No module named"):
        PrivacyConfig(classes={"secret": []}, detector="nothing:At").load_detector()
    with pytest.raises(ValueError, match="classes"):
        Config.model_validate({"privacy": {}})


@pytest.mark.skipif(find_spec("presidio_analyzer") is not None, reason="Presidio is installed")
async def test_presidio_is_an_extra_whose_lack_is_told() -> None:
    config = PrivacyConfig(classes={"secret": []}, detector="highwayman.env.privacy.presidio:PresidioDetector")
    with pytest.raises(ConfigError, match="No module named 'presidio_analyzer'"):
        config.load_detector()
    with pytest.raises(ConfigError, match="patterns takes none"):
        PrivacyConfig(classes={"secret": []}, detector_options={"model": "x"}).load_detector()
