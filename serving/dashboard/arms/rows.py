"""What a page shows of each arm: sums over the log, the newest calls, and what this process knows of its servers."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from highwayman.env.pool.changes.pool_changes import ArmEdit
from highwayman.env.types import Arm, ArmState
from highwayman.serving.dashboard.arms.recent_calls import LoggedCall
from highwayman.serving.dashboard.site import Site
from highwayman.serving.views import policy_view

_TOOLS: Final = {True: "yes", False: "no", None: "not known, tried"}


@dataclass(frozen=True, slots=True)
class ArmRow:
    """One arm of the pool."""

    arm: Arm
    color: str
    numbers: Mapping[str, Any]  # as `GET /v1/policy` has them
    usd_per_call: float | None  # of an answer, metered, over the whole log
    recent: int  # answers among the newest calls
    latency_s: float | None  # their median
    ttft_s: float | None
    tokens: tuple[int, int]  # read and written, over the whole log
    tools: str
    change: ArmEdit | None  # what lies over the pool file

    @property
    def badge(self) -> tuple[str, str]:
        """Its state in a word, and what kind of news that is."""
        if self.numbers["unwell"]:
            return "unwell", "bad"
        if self.numbers["resting"]:
            return "some replicas rest", "warn"
        words = {ArmState.ACTIVE: ("active", "good"), ArmState.PROBATION: ("on probation", "warn")}
        return words.get(self.arm.state, ("draining", "warn"))

    @property
    def is_added(self) -> bool:
        """Whether the pool file does not have it."""
        return self.change is not None and self.change.is_whole


def arm_rows(site: Site, calls: Sequence[LoggedCall]) -> list[ArmRow]:
    """Return the pool's arms, in its order."""
    services, colors = site.services, site.colors()
    view = policy_view(
        services.live,
        services.router.policy_name,
        services.pool,
        ramp=services.router.ramp.ramp,
        at=time.time(),
        objectives=services.router.objectives,
        pending=None,
    )
    changes = {} if services.reloader is None else services.reloader.running.changes
    rows = []
    for arm in services.pool.arms.values():
        tally = services.live.tally.arm(arm.name)
        answers = [call.answer for call in calls if call.answer is not None and call.answer.arm == arm.name]
        first = [answer.ttft_s for answer in answers if answer.ttft_s is not None]
        numbers = view["arms"][arm.name]
        rows.append(
            ArmRow(
                arm=arm,
                color=colors[arm.name],
                numbers=numbers,
                usd_per_call=tally.cost_usd / tally.calls if tally.calls and arm.has_price else None,
                recent=len(answers),
                latency_s=median(answer.latency_s for answer in answers) if answers else None,
                ttft_s=median(first) if first else None,
                tokens=(tally.tokens_in, tally.tokens_out),
                tools=_TOOLS[numbers["tools"]],
                change=changes.get(arm.name),
            )
        )
    return rows
