"""Scores and thumbs on a running router: what the judge says is corrected by what people say, and reported."""

import asyncio
import json
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis.asyncio as aioredis

from benchmarks.calibration import FLIP, world
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.types import Feedback
from highwayman.feedback.calibration.calibrator import CalibrationSettings, Calibrator, tenant_flip_rate
from highwayman.feedback.calibration.counts import CountTable
from highwayman.feedback.fold.tallies.calibration_counts import BINS, NAMED, PAIRS, CalibrationCounts
from highwayman.feedback.log.event_id import sort_key
from highwayman.feedback.log.store import Keys
from tests.serving.running_router import arm, ask, running_router
from tests.upstream_server import ScriptedUpstream

TENANT = "default"


def overlap_of(cells: CountTable, *, tenant: str = TENANT) -> CalibrationCounts:
    """An overlap with these counts, all of one kind of query."""
    rows = [
        [tenant, name, 0, "judge", b, cells.scored[k, b], cells.score[k, b], cells.ups[k, b], cells.downs[k, b]]
        for k, name in enumerate(cells.arms)
        for b in range(BINS)
        if cells.scored[k, b]
    ]
    return CalibrationCounts.from_json(rows)


def calibrator(overlap: CalibrationCounts, **wanted: float) -> Calibrator:
    made = Calibrator(DEFAULT_SPEC, lambda: overlap, CalibrationSettings(flip=FLIP, **wanted))
    made._found = made.compute()
    return made


def scored(value: float, metric: str = "judge") -> Feedback:
    return Feedback("f", "d", 0.0, "judge", metric, value)


def test_a_judges_score_stands_for_more_where_it_is_too_harsh() -> None:
    drawn = world(
        np.random.default_rng(1), arms=4, answers=20_000, gap=0.08
    )  # too kind to the first, harsh to the last
    made = calibrator(overlap_of(drawn.cells))
    judge = DEFAULT_SPEC.metrics["judge"]
    first, last = (made.correct(scored(0.55), judge, tenant=TENANT, arm=f"arm{k}", kind=0) for k in (0, 3))
    assert first.quality is not None
    assert last.quality is not None
    assert first.quality < last.quality
    assert 0 < first.weight < 1
    assert first.value == last.value == 0.55


def test_what_thumbs_of_one_tenant_say_corrects_nothing_of_anothers() -> None:
    drawn = world(np.random.default_rng(1), arms=4, answers=8000, gap=0.08)
    made = calibrator(overlap_of(drawn.cells, tenant="one"))
    other = made.correct(scored(0.55), DEFAULT_SPEC.metrics["judge"], tenant="two", arm="arm0", kind=0)
    assert (other.quality, other.weight) == (None, 0.25)
    assert made.thumb_weight(scored(1.0, "thumbs"), tenant="two") == 1.0
    assert made.thumb_weight(scored(1.0, "thumbs"), tenant="one") > 1.0


def test_answers_of_an_arm_that_somebody_named_correct_nothing() -> None:
    drawn = world(np.random.default_rng(1), arms=4, answers=8000, gap=0.08)
    counts = overlap_of(drawn.cells)
    hard = [[TENANT, "arm3", NAMED, "judge", 5, 5000.0, 2750.0, 100.0, 3000.0]]
    judge = DEFAULT_SPEC.metrics["judge"]
    plain, beside = (
        calibrator(rows).correct(scored(0.55), judge, tenant=TENANT, arm="arm3", kind=0)
        for rows in (counts, CalibrationCounts.from_json([*counts.to_json(), *hard]))
    )
    assert plain == beside


def test_a_weak_signal_is_worth_nothing_before_thumbs_say_what_it_means_and_little_after() -> None:
    metric = DEFAULT_SPEC.metrics["regenerated"]
    said = Feedback("f", "d", 0.0, "implicit", "regenerated", 1.0)
    assert calibrator(CalibrationCounts()).correct(said, metric, tenant=TENANT, arm="a", kind=0) == said
    rows = [[TENANT, "a", 0, "regenerated", 0, 1000.0, 0.0, 15.0, 45.0]]
    worth = calibrator(CalibrationCounts.from_json(rows)).correct(said, metric, tenant=TENANT, arm="a", kind=0)
    assert worth.quality == pytest.approx(0.2, abs=0.1)  # a quarter of the thumbs are ups, some of them flipped
    assert 0 < worth.weight < 0.2


def test_only_a_thumb_that_stands_is_weighed_by_how_rare_it_is() -> None:
    made = calibrator(overlap_of(world(np.random.default_rng(1), arms=4, answers=8000, gap=0.08).cells))
    up, down = (made.thumb_weight(scored(value, "thumbs"), tenant=TENANT) for value in (1.0, 0.0))
    assert up > 1.0 > down > 0.0
    for other in (scored(1.0), scored(0.0, "rating"), replace(scored(1.0, "thumbs"), value=None)):
        assert made.thumb_weight(other, tenant=TENANT) == 1.0
    judge = DEFAULT_SPEC.metrics["judge"]
    taken_back = replace(scored(1.0), value=None)
    assert made.correct(taken_back, judge, tenant=TENANT, arm="arm0", kind=0) == taken_back


def test_thumbs_are_weighed_by_the_source_on_whose_answers_there_are_most_of_them() -> None:
    def rows(metric: str, answers: float, loud: float) -> list[list[object]]:
        thumbs = ((0, 1.0, 80.0), (3, 8.0, 60.0), (6, 15.0, 40.0), (9, 20.0, 2.0))
        return [
            [TENANT, "a", 0, metric, place, answers, answers * (place + 0.5) / 10, loud * ups, downs]
            for place, ups, downs in thumbs
        ]

    few, many = rows("rating", 500.0, 0.5), rows("judge", 500.0, 2.0)
    spec_weights = [
        calibrator(CalibrationCounts.from_json(known)).thumb_weight(scored(1.0, "thumbs"), tenant=TENANT)
        for known in (few, many, [*few, *many])
    ]
    assert spec_weights[0] != spec_weights[1] == spec_weights[2]


def test_the_flip_rate_is_measured_where_answers_have_two_thumbs_and_declared_elsewhere() -> None:
    rows = CalibrationCounts.from_json([[TENANT, "a", 0, PAIRS, 0, 1000.0, 180.0, 0.0, 0.0]])
    assert tenant_flip_rate(rows, TENANT, otherwise=0.05) == pytest.approx(0.1, abs=0.001)
    assert tenant_flip_rate(CalibrationCounts(), TENANT, otherwise=0.05) == 0.05


@pytest.mark.parametrize(
    ("answers", "disagree", "flip"), [(99.0, 18.0, 0.05), (100.0, 18.0, 0.1), (500.0, 499.0, 0.45)]
)
def test_a_hundred_pairs_of_thumbs_tell_how_many_are_flipped_and_never_that_half_are(
    answers: float, disagree: float, flip: float
) -> None:
    rows = [
        [TENANT, arm, 0, PAIRS, 0, share * answers, share * disagree, 0.0, 0.0]
        for arm, share in (("a", 0.25), ("b", 0.75))
    ]
    others = [["another", "a", 0, PAIRS, 0, 1000.0, 0.0, 0.0, 0.0]]
    counts = CalibrationCounts.from_json([*rows, *others])
    assert tenant_flip_rate(counts, TENANT, otherwise=0.05) == pytest.approx(flip, abs=0.001)


async def test_the_report_says_how_judge_and_thumbs_agree(
    valkey_url: str, redis_client: aioredis.Redis, namespace: str, tmp_path: Path
) -> None:
    config = tmp_path / "highwayman.yaml"
    config.write_text(f"namespace: {namespace}\nfeedback: {{metrics: {{judge: {{corrected: true}}}}}}\n")
    raw = {"feedback": {"metrics": {"judge": {"corrected": True}}}}
    rng = random.Random(0)
    async with ScriptedUpstream() as upstream, running_router(
        [arm("small", upstream.url), arm("large", upstream.url)], valkey_url, namespace, config=raw
    ) as router:  # fmt: skip

        async def answered(number: int, good: bool) -> None:
            body = ask(f"Question {number}", model=("small", "large")[number % 2])
            _, _, headers = await router.post("/v1/chat/completions", body)
            about = {"decision_id": headers["x-highwayman-decision"]}
            score = {**about, "metric": "judge", "value": 0.8 if good else 0.2, "source": "grader"}
            for statement in (score, {**about, "value": good}):
                assert (await router.post("/v1/feedback", statement))[0] == 200

        await asyncio.gather(*(answered(number, rng.random() < 0.5) for number in range(60)))
        (newest, _), *_ = await redis_client.xrevrange(Keys(namespace)("log"), count=1)
        async with asyncio.timeout(10):  # until everything said is in the policy that the report reads
            while sort_key((await router.get("/v1/policy"))[1]["position"]) < sort_key(newest.decode()):
                await asyncio.sleep(0.02)
    command = ["-m", "highwayman.serving.cli.main", "judge", "report", "--json", "--config", str(config)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, "--redis-url", valkey_url, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    found: dict[str, Any] = json.loads(out)
    assert (found["scored"], found["thumbs"], found["coverage"]) == (60, 60, 1.0)
    assert found["agreement"] == 1.0
    assert {one["arm"]: one["scored"] for one in found["arms"]} == {"small": 30, "large": 30}
    assert all(abs(one["score"] - 0.5) < 0.2 for one in found["arms"])
