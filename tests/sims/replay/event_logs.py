"""A small router's event log with a known truth: arm a is good on one kind of question, arm b on the other."""

from pathlib import Path

import numpy as np

from highwayman.env.types import Context, Decision, Feedback, Floats, Outcome, Status
from highwayman.feedback.archive.archive import Archive
from highwayman.feedback.archive.manifest import ArchiveManifest
from highwayman.feedback.log.events import Event, encode

ARMS = ("a", "b")
FINGERPRINT = "test/1"
COSTS = {"a": 0.001, "b": 0.01}
GOOD, BAD = 0.9, 0.1
START_S = 1_700_000_000.0


def events(n: int, *, seed: int = 0, probs: tuple[float, float] = (0.5, 0.5), said: float = 1.0) -> list[Event]:
    """n decisions drawn with `probs`, each answered, and a thumb on a share `said` of the answers."""
    rng = np.random.default_rng(seed)
    found: list[Event] = []
    for number in range(n):
        kind = int(rng.integers(2))
        arm = int(rng.random() >= probs[0])
        good = rng.random() < (GOOD if arm == kind else BAD)
        name, at = f"d{number}", START_S + number
        found += [_decision(name, at, kind, arm=arm, probs=np.array(probs)), _outcome(name, at, ARMS[arm])]
        if rng.random() < said:
            found.append(Feedback(f"f{number}", name, at + 1.0, "user", "thumbs", float(good)))
    return found


def archived(folder: Path, log: list[Event], *, namespace: str = "default") -> Path:
    """Put the events into an archive, as `highwayman export` does, in two parts."""
    archive = Archive(folder)
    folder.mkdir(parents=True)
    ArchiveManifest(archive).claim(namespace)
    rows = [(f"{int(START_S * 1000) + number}-0", encode(event), False) for number, event in enumerate(log)]
    for part in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
        archive.append(part)
    return folder


def _decision(name: str, at: float, kind: int, *, arm: int, probs: Floats) -> Decision:
    features = np.array([1.0, -1.0, 1.0]) if kind == 0 else np.array([-1.0, 1.0, 1.0])
    return Decision(
        id=name, tenant="default", at=at, context=Context(features, FINGERPRINT, prompt_tokens=10), arms=ARMS,
        penalties=np.array([0.0, 0.05]), probs=probs, action=arm, propensity=float(probs[arm]), policy="test:Policy",
        policy_version=1, objective="auto",
    )  # fmt: skip


def _outcome(name: str, at: float, arm: str) -> Outcome:
    return Outcome(name, at + 0.5, arm, Status.OK, prompt_tokens=10, tokens_in=10, tokens_out=10, cost_usd=COSTS[arm])
