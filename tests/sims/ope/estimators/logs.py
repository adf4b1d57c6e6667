"""Small logs for tests, and every log that a policy could have written."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import LoggedData


def log_of(
    actions: Sequence[int],
    propensities: Sequence[float],
    rewards: Sequence[float],
    *,
    k: int = 2,
    contexts: Floats | None = None,
    sessions: Sequence[int] | None = None,
    **columns: object,
) -> LoggedData:
    """Return the log of these rounds; every round its own session, every arm eligible, unless said otherwise."""
    n = len(actions)
    found: dict[str, object] = {
        "arms": tuple("abcdefgh"[:k]),
        "contexts": np.ones((n, 1)) if contexts is None else contexts,
        "eligible": np.ones((n, k), dtype=np.bool_),
        "actions": np.array(actions, dtype=np.intp),
        "propensities": np.array(propensities, dtype=np.float64),
        "rewards": np.array(rewards, dtype=np.float64),
        "costs_usd": np.full(n, np.nan),
        "penalties": np.zeros((n, k)),
        "sessions": np.arange(n) if sessions is None else np.array(sessions),
        "at": np.arange(n, dtype=np.float64),
        "encoder": "f",
    }
    return LoggedData(**{**found, **columns})  # type: ignore[arg-type]


def random_log(rng: np.random.Generator, *, n: int = 400, k: int = 3, d: int = 4, per_session: int = 1) -> LoggedData:
    """Return a log with contexts, propensities between 0.1 and 0.8, and rewards that depend on both arm and context."""
    contexts = np.concatenate([rng.standard_normal((n, d - 1)), np.ones((n, 1))], axis=1)
    probs = 0.1 + (1 - 0.1 * k) * rng.dirichlet(np.ones(k), n)
    actions = (rng.random((n, 1)) > probs.cumsum(axis=1)[:, :-1]).sum(axis=1)
    means = 1 / (1 + np.exp(-contexts @ rng.normal(0.0, 0.7, (d, k))))
    rewards = (rng.random(n) < means[np.arange(n), actions]).astype(np.float64)
    sessions = np.arange(n) // per_session
    return log_of(actions.tolist(), probs[np.arange(n), actions].tolist(), rewards.tolist(), k=k, contexts=contexts,
                  sessions=sessions.tolist())  # fmt: skip


def every_log(
    n: int, logging: Callable[[list[int]], Floats], reward: Floats, **columns: object
) -> Iterator[tuple[float, LoggedData]]:
    """Yield each log of n rounds that could have been written, with its probability.

    Args:
        n: rounds.
        logging: gives the probabilities (K,) of a round from the actions before it.
        reward: (n, K) what each arm earns in each round.
        columns: of `log_of`.
    """
    k = reward.shape[1]
    for actions in product(range(k), repeat=n):
        drawn = [float(logging(list(actions[:t]))[actions[t]]) for t in range(n)]
        yield float(np.prod(drawn)), log_of(actions, drawn, reward[np.arange(n), actions].tolist(), k=k, **columns)  # type: ignore[arg-type]
