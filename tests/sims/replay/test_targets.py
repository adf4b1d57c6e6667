from collections.abc import Iterator

import numpy as np

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.policies.uniform import Uniform
from highwayman.bandit.policy import Policy
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.feedback.fold.log_fold import Page
from highwayman.feedback.log.events import Event, encode
from highwayman.sims.logs.judged import LogWithTargets
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.replay.event_log import Pages, summarise_log
from highwayman.sims.replay.progressive import ProgressiveValidation
from highwayman.sims.replay.rounds import Counterfactual, ReplayCounts
from highwayman.sims.replay.targets import EventLog, progressive_targets
from tests.sims.replay.event_logs import ARMS, FINGERPRINT, events


def pages(log: list[Event]) -> Pages:
    rows = [(f"{number}-0", encode(event), False) for number, event in enumerate(log, start=1)]

    def read() -> Iterator[Page]:
        yield rows[: len(rows) // 2]
        yield rows[len(rows) // 2 :]

    return read


def lin_ts(d: int, fingerprint: str) -> Policy:
    return LinTS(d=d, fingerprint=fingerprint)


def uniform(d: int, fingerprint: str) -> Policy:
    return Uniform(d=d, fingerprint=fingerprint)


def replayed(log: list[Event], *makes: object) -> tuple[LogWithTargets, ReplayCounts]:
    read, counts = pages(log), ReplayCounts()
    event_log = EventLog(read, summarise_log(read), DEFAULT_SPEC, kept_s=1e6)
    (chunk,) = event_log.targets(makes, Counterfactual(ExplorationRules(floor=0.02)), counts)  # type: ignore[arg-type]
    return chunk, counts


def test_a_survey_knows_the_arms_and_the_features() -> None:
    found = summarise_log(pages(events(3)))
    assert (found.arms, found.encoder, found.d) == (ARMS, FINGERPRINT, 3)
    assert summarise_log(pages([])).d == 0


def test_policies_asked_side_by_side_answer_as_each_alone() -> None:
    log = events(60)
    both, counts = replayed(log, lin_ts, uniform)
    (alone, _), (other, _) = replayed(log, lin_ts), replayed(log, uniform)
    assert both.targets[0].tolist() == alone.targets[0].tolist()
    assert both.targets[1].tolist() == other.targets[0].tolist()
    assert counts.rounds == 60
    assert counts.decisions == 60


def test_a_policy_replayed_has_learned_more_at_the_end_than_at_the_beginning() -> None:
    chunk, _ = replayed(events(400), lin_ts)
    kinds = (chunk.contexts[:, 0] < 0).astype(int)
    right = chunk.targets[0][np.arange(chunk.n), kinds]
    assert right[:20].mean() < 0.8 < right[-100:].mean()


def test_a_bandit_log_is_gone_through_as_progressive_validation_does() -> None:
    chunk, _ = replayed(events(80), uniform)
    log = LoggedData(**{name: getattr(chunk, name) for name in LoggedData.__dataclass_fields__})
    halves = [log.take(slice(0, 40)), log.take(slice(40, 80))]
    found = list(progressive_targets(halves, [lin_ts, uniform], floor=0.1, frozen_for=4))
    alone = ProgressiveValidation(LinTS(d=3, fingerprint=FINGERPRINT), floor=0.1, frozen_for=4)
    assert [one.targets[0].tolist() for one in found] == [alone(half).tolist() for half in halves]
    assert (found[0].targets[1] == 0.5).all()
