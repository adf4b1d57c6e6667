"""Every query of the dashboard and the alerts, against what a router exports after traffic and feedback."""

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from highwayman.serving.telemetry.families import FAMILIES, MADE_AT_SCRAPE, OLD_NAMES
from scripts.metrics_page import PAGE, with_tables
from tests.serving.running_router import Router, arm, ask, running_router
from tests.serving.telemetry.promql import BadQuery, parse
from tests.upstream_server import ANY, Say, ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEPLOY = Path(__file__).parents[3] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "highwayman.json").read_text())
RULES = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"][0]["rules"]
FROM_PROMETHEUS = frozenset({"job", "instance"})  # labels that a scrape adds
Samples = dict[str, list[Sample]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scrapes(valkey_url: str, module_namespace: str) -> AsyncIterator[tuple[str, str]]:
    """The text of a router's first scrape, and of one after requests, refusals and feedback that was learned."""
    async with ScriptedUpstream() as upstream:
        upstream.script(ANY, Say("Paris.", tokens_in=9, tokens_out=2))
        arms = [
            replace(arm(name, upstream.url, price=price), wh_per_mtok=300.0)
            for name, price in (("small", 0.1), ("large", 100.0))
        ]
        async with running_router(arms, valkey_url, module_namespace) as router:
            first = await metrics(router)
            for n in range(8):
                _, _, headers = await router.post("/v1/chat/completions", ask(f"Question {n}?"))
                thumb = {"decision_id": headers["x-highwayman-decision"], "value": n % 2 == 0}
                assert (await router.post("/v1/feedback", thumb))[0] == 200
            await router.post("/v1/chat/completions", ask(model="small"))
            await router.post("/v1/chat/completions", ask(model="nobody"))
            async with asyncio.timeout(5):
                while sum(value(await metrics(router), "highwayman_rated_answers")) < 8:
                    await asyncio.sleep(0.02)
                while value(await metrics(router), "highwayman_learner_lag_seconds") != [0.0]:
                    await asyncio.sleep(0.02)
            yield first, await metrics(router)


async def metrics(router: Router) -> str:
    async with router.http.get("/metrics") as response:
        assert response.status == 200
        return await response.text()


def samples(text: str) -> Samples:
    """The samples of a scrape by name, as Prometheus' own parser reads them."""
    by_name: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            by_name.setdefault(sample.name, []).append(sample)
    return by_name


def value(text: str, name: str, **labels: str) -> list[float]:
    return [sample.value for sample in samples(text)[name] if labels.items() <= sample.labels.items()]


def queries() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for rule in RULES:
        yield rule["alert"], rule["expr"]


async def test_every_series_that_a_query_names_is_there_with_the_labels_it_goes_by(scrapes: tuple[str, str]) -> None:
    exported, missing = samples(scrapes[1]), []
    known = {family.shown: family for family in (*FAMILIES, *MADE_AT_SCRAPE)}
    for title, text in queries():
        query = parse(text)
        for selector in query.selectors:
            if selector.name == "up":  # Prometheus' own
                continue
            base = re.sub(r"_(bucket|sum|count)$", "", selector.name)
            series = [sample for sample in exported.get(selector.name, ()) if selector.matches(sample.labels)]
            if not series and not (query.has_default and base in known):
                missing.append((title, selector.name, selector.matchers))
            lacking = query.labels - FROM_PROMETHEUS - {*known[base].labels}
            if lacking:
                missing.append((title, selector.name, tuple(lacking)))
    assert missing == []


async def test_no_panel_is_empty_after_traffic_and_feedback(scrapes: tuple[str, str]) -> None:
    exported, empty = samples(scrapes[1]), []
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            query = parse(target["expr"])
            for selector in query.selectors:
                numbers = [s.value for s in exported.get(selector.name, ()) if selector.matches(s.labels)]
                if all(map(math.isnan, numbers)) and not query.has_default:
                    empty.append(panel["title"])
    assert empty == []


async def test_every_series_is_there_at_zero_before_the_first_request(scrapes: tuple[str, str]) -> None:
    first, last = (samples(text) for text in scrapes)
    counted = [family.shown for family in (*FAMILIES, *MADE_AT_SCRAPE) if family.kind == "counter"]
    for name in counted:
        labels = [tuple(sample.labels.items()) for sample in first.get(name, ())]
        assert [s.labels for s in last.get(name, ()) if tuple(s.labels.items()) not in labels] == [], name
        assert {sample.value for sample in first.get(name, ())} <= {0.0}, name


async def test_each_metric_is_shown_once_typed_with_help_and_without_created_series(scrapes: tuple[str, str]) -> None:
    text = scrapes[1]
    names = re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE)
    assert len(names) == len(set(names))
    assert set(re.findall(r"^# HELP (\S+) ", text, re.MULTILINE)) == set(names)
    assert "_created" not in text
    exported = {family.name for family in text_string_to_metric_families(text)}
    assert exported == {family.name for family in (*FAMILIES, *MADE_AT_SCRAPE)} | {*OLD_NAMES.values()}


async def test_counters_end_in_total_and_gauges_do_not() -> None:
    for family in (*FAMILIES, *MADE_AT_SCRAPE):
        assert family.shown.endswith("_total") == (family.kind == "counter")
        assert family.kind != "histogram" or family.buckets[0] <= 0.005


async def test_what_was_renamed_is_shown_under_its_old_name_too(scrapes: tuple[str, str]) -> None:
    text = scrapes[1]
    assert value(text, "highwayman_refused_total", code="model_not_found") == [1.0]
    assert value(text, "highwayman_request_errors_total", code="model_not_found") == [1.0]
    new, old = (value(text, f"highwayman_time_to_first_{what}_seconds_bucket") for what in ("token", "byte"))
    assert new == old != []


async def test_decisions_are_counted_by_arm_and_mode_with_their_propensities(scrapes: tuple[str, str]) -> None:
    text = scrapes[1]
    assert sum(value(text, "highwayman_decisions_total", mode="route")) == 8
    assert value(text, "highwayman_decisions_total", arm="small", mode="forced") == [1.0]
    assert sum(value(text, "highwayman_propensity_count")) == 8
    assert 0 < sum(value(text, "highwayman_propensity_sum")) <= 8


async def test_reward_coverage_and_delay_tell_of_the_thumbs_given(scrapes: tuple[str, str]) -> None:
    text = scrapes[1]
    weights = value(text, "highwayman_rated_answers")
    means = value(text, "highwayman_reward", bound="value")
    ups = sum(mean * weight for mean, weight in zip(means, weights, strict=True) if weight)
    assert (sum(weights), ups) == (8, pytest.approx(4))
    low, high = (value(text, "highwayman_reward", bound=bound) for bound in ("low", "high"))
    assert all(0 <= a < b <= 1 for a, b in zip(low, high, strict=True))
    decided = (sum(value(text, "highwayman_decisions_total", arm=name)) for name in ("small", "large"))
    shares = [rated / count if count else 0.0 for rated, count in zip(weights, decided, strict=True)]
    assert value(text, "highwayman_feedback_coverage_ratio") == pytest.approx(shares)
    assert value(text, "highwayman_feedback_delay_seconds_count", metric="thumbs") == [8.0]
    assert value(text, "highwayman_feedback_delay_seconds_bucket", metric="thumbs", le="10.0") == [8.0]


async def test_what_the_policy_believes_lies_within_what_quality_can_be(scrapes: tuple[str, str]) -> None:
    text = scrapes[1]
    believed, unsure = (value(text, f"highwayman_quality_{what}") for what in ("estimate", "deviation"))
    assert all(-0.5 < quality < 1.5 for quality in believed)
    assert all(0 < deviation < 1 for deviation in unsure)
    assert value(text, "highwayman_exploration_regret_per_request")[0] >= 0
    assert 0 <= value(text, "highwayman_explored_ratio")[0] <= 1


async def test_the_page_of_metrics_is_what_its_command_writes() -> None:
    assert PAGE.read_text() == with_tables(PAGE.read_text())


async def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for rule in RULES:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert {"summary", "action"} <= rule["annotations"].keys()


@pytest.mark.parametrize("text", ["rate(a)", "sum by (x (a)", "a{b=}", "sum(a", "a b", "histogram_quantile(a)"])
async def test_a_query_that_cannot_be_read_is_noticed(text: str) -> None:
    with pytest.raises(BadQuery):
        parse(text)


async def test_promtool_or_its_parser_takes_every_query_where_there_is_one() -> None:
    parser: Any = pytest.importorskip("promql_parser", reason="pip install promql-parser: the same grammar in Rust")
    for _, text in queries():
        parser.parse(text.replace("$__rate_interval", "1m"))
