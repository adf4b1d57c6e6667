"""What operators, routers and learners put on the log beside requests, and when."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from benchmarks.filled_log.world import BOLD, CAREFUL, World
from highwayman.env.cost.pool_spread import PoolSpread
from highwayman.env.types import Arm, Control, ControlKind
from highwayman.feedback.log.config_events import config_changes
from highwayman.feedback.log.store import Store
from highwayman.feedback.tournament.ramp import Ramp, RampStep
from highwayman.feedback.tournament.scored_learner import CONFIGURED
from highwayman.serving.state.announced_config import active_config
from highwayman.serving.state.learner_factory import LearnerFactory

Step = Callable[[Store, float], Awaitable[object]]  # takes the log and seconds since the epoch


@dataclass(frozen=True, slots=True)
class Champion:
    """Who decides from a share of the time on."""

    begins: float
    policy: str


CHAMPIONS: Final = (Champion(0.0, "HierTS"), Champion(0.56, "LinTS"), Champion(0.66, "HierTS"))
_EVIDENCE: Final[Mapping[str, Any]] = {"decisions": 612, "difference": 0.031, "better": False, "worse": False}
_RAMP: Final[tuple[tuple[float, RampStep], ...]] = (
    (0.34, RampStep(Ramp(challenger=CAREFUL, share=0.01), "trial", "asked for", _EVIDENCE)),
    (0.38, RampStep(Ramp(challenger=CAREFUL, share=0.05), "share", "no guard is broken", _EVIDENCE)),
    (
        0.42,
        RampStep(
            Ramp(barred=(CAREFUL,)), "rollback", f"{CAREFUL}: seconds: at least 61.0 % more, of 50 allowed", _EVIDENCE
        ),
    ),
    (0.48, RampStep(Ramp(challenger=BOLD, share=0.25, barred=(CAREFUL,)), "trial", "asked for", _EVIDENCE)),
    (0.56, RampStep(Ramp(BOLD, previous=CONFIGURED, barred=(CAREFUL,)), "promote", "no guard is broken", _EVIDENCE)),
    (
        0.66,
        RampStep(
            Ramp(barred=(CAREFUL, BOLD)),
            "rollback",
            f"{BOLD}: rewards have fallen below 0.761, their level before",
            _EVIDENCE,
        ),
    ),
)


def steps(world: World, factory: LearnerFactory) -> list[tuple[float, Step]]:
    """Return what is put on the log beside requests, each with its second after the first request."""
    pools: list[tuple[float, str]] = [(0.0, ""), (world.joins, "ops@example.org"), (world.dearer, "ops@example.org")]
    put: list[tuple[float, Step]] = [
        (second, _config_step(factory, world.pool_at(second), by=by)) for second, by in pools
    ]
    before = ""
    for share, step in _RAMP:
        put.append((world.at(share), _ramp_step(step, before)))
        before = step.ramp.to_json()
    detail = {"arm": "copyist", "share": 0.05, "better": False}
    put.append((world.noticed, _append(ControlKind.CHANGE_NOTICED, detail)))
    return put


def _config_step(factory: LearnerFactory, arms: tuple[Arm, ...], *, by: str) -> Step:
    """Return the step to these arms; the first of all puts the whole configuration in force."""
    objectives = factory.config.objectives(PoolSpread.of_arms(factory.arms))
    after = active_config(replace(factory, arms=arms), objectives)

    async def put(store: Store, at: float) -> object:
        before = await store.active_config()
        return await store.put_config_changes(config_changes(before, after, at=at, by=by), before=before, after=after)

    return put


def _ramp_step(step: RampStep, before: str) -> Step:
    async def put(store: Store, at: float) -> object:
        return await store.put_ramp_change([step.control(at)], before=before, after=step.ramp.to_json())

    return put


def _append(kind: ControlKind, detail: Mapping[str, Any]) -> Step:
    async def put(store: Store, at: float) -> object:
        return await store.append(Control(at, kind, detail))

    return put
