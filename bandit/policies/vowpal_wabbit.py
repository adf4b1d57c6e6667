"""Vowpal Wabbit's contextual bandits, over the queries' features; needs the extra `vw`."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from highwayman.bandit import snapshot
from highwayman.bandit.models.replay_buffer import FEATURES, PLACE, WEIGHT, WEIGHTED, BufferUpdate, ReplayBuffer
from highwayman.bandit.models.vw_workspace import ARMS, VwWorkspace, new_model
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Context, Floats, RewardChange

_KIND = "vowpal wabbit"
# Nothing that makes features of its own, shrinks weights or predicts in another way than by their sum, as penalties are
# carried by weights; and no other rule of learning, as some of them learn less the more predictions they made.
TUNING: Final = frozenset(
    {"--gamma_scale", "--gamma_exponent", "--elim", "--lambda", "--epsilon", "--alpha", "--rnd_invlambda", "--psi",
     "--nounif", "--first_only", "--greedify", "--learning_rate", "-l", "--power_t", "--cb_min_cost", "--cb_max_cost"}
)  # fmt: skip
EXPLORATIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "squarecb": ("--squarecb",),
        "cover": ("--cover", "4"),
        "bag": ("--bag", "4"),
        "rnd": ("--rnd", "3"),
        "softmax": ("--softmax", "--lambda", "20"),
        "epsilon": ("--epsilon", "0.05"),
    }
)


class VowpalWabbit:
    """`--cb_explore_adf` with one block of weights per arm, learning 1 - quality as the cost.

    Bietti, Agarwal & Langford, "A Contextual Bandit Bake-off", JMLR 2021 (arXiv 1802.04064), describes the algorithms
    behind `exploration`. Penalties are added to the costs predicted, and the exploration acts on the sums: exactly for
    squarecb, softmax, epsilon and rnd, and on the vote of each member of bag and of each policy of cover.

    Routing breaks what a stream learner rests on, that feedback stands: Vowpal Wabbit cannot unlearn. So the
    newest rounds are held beside a model that has learned all earlier ones, and when a round that is held changes, they
    are learned again from there, with their final values. That is exact, and costs some ten microseconds per round
    held. An earlier round stays as it was learned, whatever becomes of its reward.
    """

    def __init__(
        self,
        *,
        d: int,
        fingerprint: str = "",
        exploration: str = "squarecb",
        arguments: Sequence[str] = (),
        rounds: int = 1000,
    ) -> None:
        """Start with all weights 0.

        Args:
            d: number of features.
            fingerprint: of the encoder that makes the features.
            exploration: squarecb, cover, bag, rnd, softmax or epsilon, with usual parameters.
            arguments: that tune exploration or learning, such as `["--gamma_scale", "100"]`.
            rounds: the newest ones, a change of which is learned; at times it is up to twice as many.
        """
        if exploration not in EXPLORATIONS:
            raise ValueError(f"exploration must be one of {', '.join(EXPLORATIONS)}, got {exploration!r}")
        if not (math.isfinite(rounds) and rounds >= 1):
            raise ValueError(f"rounds must be a number >= 1, got {rounds!r}")
        vw_arguments = [*EXPLORATIONS[exploration], *_checked(arguments)]
        self._d, self._fingerprint, self._arguments, self._most = d, fingerprint, vw_arguments, int(rounds)
        self._penalised = 1 if exploration == "rnd" else None  # its other models predict noise, not cost
        self._base = new_model(vw_arguments, d=d)  # has learned all rounds that are not held; never predicts
        self._held = ReplayBuffer(d=d)
        self._live: VwWorkspace | None = None  # the base and the rounds held; None: to be made anew
        self._places: dict[str, int] = {}

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return the probability of each eligible arm, shape (K,), in the order of `arms`."""
        if self._live is None:
            self._live = self._taught(self._held)
        return self._live.probs(context.features, [self._place(arm) for arm in arms], penalties)

    def learn(self, changes: Sequence[RewardChange]) -> None:
        """Fold changes of reward in, in log order. Raises ValueError for an unknown arm or another length."""
        for change in changes:
            place = self._place(change.arm)
            update = self._held.apply(place, change)
            if update is BufferUpdate.CHANGED:
                self._live = None
            elif update is BufferUpdate.NEW and self._live is not None:
                weight, quality = change.weight, change.weighted / change.weight
                self._live.learn(change.features, place, cost=1.0 - quality, weight=weight)
            if len(self._held) >= 2 * self._most:
                self._base = self._taught(self._held.pop_oldest(self._most)).serialize()
                self._live = None

    def _taught(self, rounds: ReplayBuffer | Sequence[Floats]) -> VwWorkspace:
        """Return the base after more rounds: a function of the two alone, in this process or another."""
        workspace = self._loaded(self._base)
        for row in rounds:
            quality = row[WEIGHTED] / row[WEIGHT]
            workspace.learn(row[FEATURES:], int(row[PLACE]), cost=float(1.0 - quality), weight=float(row[WEIGHT]))
        return workspace

    def _loaded(self, model: bytes) -> VwWorkspace:
        return VwWorkspace(model, d=self._d, penalised=self._penalised)

    def add_arm(self, name: str) -> None:
        """Give a new arm a block of weights; one already known keeps its own. Raises ValueError if there is no room."""
        if name not in self._places:
            if len(self._places) >= ARMS:
                raise ValueError(
                    f"no room for arm {name!r}: {ARMS} arms are the most, those that were dropped included"
                )
            self._places[name] = len(self._places)

    def drop_arm(self, name: str) -> None:
        """Do nothing: an arm that is not eligible is not scored, and its weights stay."""

    def _place(self, arm: str) -> int:
        try:
            return self._places[arm]
        except KeyError:
            raise ValueError(f"unknown arm {arm!r}; known are {', '.join(self._places) or 'none'}") from None

    def state(self) -> bytes:
        """Return the base, in Vowpal Wabbit's own format, and the rounds held, as a snapshot."""
        arrays = {**self._held.arrays(), "model": np.frombuffer(self._base, dtype=np.uint8)}
        return snapshot.pack({**self._about(), "arms": list(self._places)}, arrays)

    def restore(self, state: bytes) -> None:
        """Replace everything learned by a snapshot's. Raises SnapshotError and changes nothing if unusable."""
        header, arrays = snapshot.unpack(state)
        own_header = self._about()
        if {name: header.get(name) for name in own_header} != own_header:
            raise SnapshotError(
                f"snapshot is of {[header.get(name) for name in own_header]}; wanted {list(own_header.values())}"
            )
        arms = [str(name) for name in header.get("arms") or ()]
        if len(set(arms)) != len(arms) or len(arms) > ARMS or "model" not in arrays:
            raise SnapshotError("snapshot names an arm twice or too many of them, or holds no model")
        base = arrays["model"].tobytes()
        try:
            held = ReplayBuffer.from_arrays(arrays, d=self._d, arms=len(arms))
            self._loaded(base)
        except ValueError as error:
            raise SnapshotError(f"snapshot cannot be used: {error}") from error
        self._base, self._held, self._live = base, held, None
        self._places = {name: place for place, name in enumerate(arms)}

    def _about(self) -> dict[str, Any]:
        return {"kind": _KIND, "d": self._d, "fingerprint": self._fingerprint, "arguments": self._arguments}


def _checked(arguments: Sequence[str]) -> list[str]:
    """Return arguments as text. Raises ValueError for one that does more than tune."""
    texts = [str(text) for text in arguments]
    names = [
        text.split("=")[0] for text in texts if text.startswith("--") or (text.startswith("-") and text[1:2].isalpha())
    ]
    for name in names:
        if name not in TUNING:
            raise ValueError(f"argument {name} cannot be given here; those that can are {', '.join(sorted(TUNING))}")
    return texts
