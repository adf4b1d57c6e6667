"""Hand-made decisions, outcomes and feedback."""

import itertools

import numpy as np

from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.types import Context, Decision, Feedback, Floats, Mode, Outcome, Status
from highwayman.feedback.fold.learner import Learner

FINGERPRINT = "test/1"


def make_learner() -> Learner:
    return Learner(LinTS(d=3, fingerprint=FINGERPRINT), DEFAULT_SPEC, fingerprint=FINGERPRINT, arms=("a", "b"))


def context(*features: float, fingerprint: str = FINGERPRINT) -> Context:
    values = np.array(features or (0.5, -0.25, 1.0), dtype=np.float32).astype(np.float64)
    return Context(values, fingerprint, prompt_tokens=12, flags=frozenset({"encoder_timeout"}))


def decision(
    name: str, *, arm: str = "a", arms: tuple[str, ...] = ("a", "b"), mode: Mode = Mode.ROUTE, at: Context | None = None
) -> Decision:
    probs: Floats = np.full(len(arms), 1 / len(arms))
    action = arms.index(arm)
    return Decision(
        id=name,
        tenant="default",
        at=1_700_000_000.25,
        context=at or context(),
        arms=arms,
        penalties=np.linspace(0.0, 0.15, len(arms)),
        probs=probs,
        action=action,
        propensity=float(probs[action]),
        policy="test:Policy",
        policy_version=3,
        objective="auto",
        mode=mode,
    )


def outcome(name: str, *, arm: str = "a", status: Status = Status.OK, cost_usd: float | None = 0.002) -> Outcome:
    return Outcome(
        name, 1_700_000_001.0, arm, status, prompt_tokens=12, tokens_in=20, tokens_out=7, cost_usd=cost_usd,
        ttft_s=0.1, latency_s=0.5, finish_reason="stop", attempts=2,
    )  # fmt: skip


_numbers = itertools.count()


def thumb(
    name: str, value: float | None, *, source: str = "user", metric: str = "thumbs", user: str = "",
    at: float = 1_700_000_002.0, feedback_id: str | None = None,
) -> Feedback:  # fmt: skip
    """Feedback of its own, unless it is given the id of another."""
    own = feedback_id or f"f{next(_numbers)}"
    return Feedback(own, name, at, source, metric, value, user=user)
