"""Vowpal Wabbit's contextual bandits, over the queries' features; needs the extra `vw`."""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import vowpal_wabbit_next as vw

from highwayman.bandit import snapshot
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Context, Floats, RewardChange

_KIND = "vowpal wabbit"
_ON_LOADING = ["--quiet", "--preserve_performance_counters"]  # else a restart would change what is learned next
_BITS = 16  # 2^16 weights: some thousand arms of 64 features
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
    behind `exploration`. Penalties enter as a feature whose weight is held at 1 and which no lesson contains, so that
    every exploration sees predicted cost plus penalty. Features go in as numbers through reused examples, not as text.

    What routing breaks: Vowpal Wabbit learns from a stream and cannot unlearn. A round counts when its reward first
    comes; a flip, a retraction or an erasure changes nothing here, and two orders of events give two states. `bag`,
    `cover` and `rnd` draw at random while they learn, from a generator that no snapshot holds: they go on differently
    after a restart.
    """

    def __init__(
        self, *, d: int, fingerprint: str = "", exploration: str = "squarecb", arguments: Sequence[str] = ()
    ) -> None:
        """Start with all weights 0.

        Args:
            d: number of features.
            fingerprint: of the encoder that makes the features.
            exploration: squarecb, cover, bag, rnd, softmax or epsilon, with usual parameters.
            arguments: more of the command line, such as `["--gamma_scale", "100"]`.
        """
        if exploration not in EXPLORATIONS:
            raise ValueError(f"exploration must be one of {', '.join(EXPLORATIONS)}, got {exploration!r}")
        self._d, self._fingerprint = d, fingerprint
        self._arguments = ["--cb_explore_adf", "--cb_type", "mtr", "--noconstant", "--quiet", "-b", str(_BITS),
                           "--random_seed", "1", *EXPLORATIONS[exploration], *map(str, arguments)]  # fmt: skip
        try:
            self._workspace = vw.Workspace(self._arguments)
        except RuntimeError as error:
            raise ValueError(f"Vowpal Wabbit refuses {' '.join(self._arguments)}: {error}") from error
        weights = self._workspace.weights()
        weights[0, : 1 if exploration == "rnd" else None, 0] = 1.0  # rnd's others predict noise, not cost
        self._model: bytes | None = None  # as last serialised, unless something was learned since
        self._rows: dict[str, int] = {}
        self._examples: list[Any] = []  # one for each arm, made once and filled anew each time
        self._indices = np.arange(1, d + 1, dtype=np.uint64)

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return the probability of each eligible arm, shape (K,), in the order of `arms`."""
        x = np.append(context.features, 0.0).astype(np.float32)
        examples = []
        for arm, penalty in zip(arms, penalties.tolist(), strict=True):
            x[-1] = penalty
            examples.append(self._example(self._row(arm), x, vw.CBLabel()))
        found = np.zeros(len(arms))
        predicted: Any = self._workspace.predict_one(examples)
        for place, prob in predicted:
            found[place] = prob
        shares: Floats = np.maximum(found, 0.0) / found.sum()
        return shares

    def learn(self, changes: Sequence[RewardChange]) -> None:
        """Learn from new rewards; what changes an earlier one is passed over."""
        for change in changes:
            row, x = self._row(change.arm), change.features
            if x.shape != (self._d,):
                raise ValueError(f"features must have shape ({self._d},), got {x.shape}")
            if change.weight > 0:
                label = vw.CBLabel(label=(1.0 - change.weighted / change.weight, 1.0), weight=change.weight)
                self._workspace.learn_one([self._example(row, x.astype(np.float32), label)])
                self._model = None

    def _example(self, row: int, values: Any, label: Any) -> Any:
        """Return the arm's example, with these values of its own features, and of the penalty if there is one more."""
        example = self._examples[row]
        group = example[" "]
        group.truncate_to(0)
        indices = self._indices + np.uint64(row * self._d)
        if len(values) > self._d:
            indices = np.append(indices, np.uint64(0))
        group.push_many_features(indices, values)
        example.set_label(label)
        return example

    def add_arm(self, name: str) -> None:
        """Give a new arm a block of weights; one already known keeps its own. Raises ValueError if there is no room."""
        if name not in self._rows:
            if (len(self._rows) + 1) * self._d >= 2**_BITS:
                raise ValueError(f"no room for arm {name!r}: {len(self._rows)} arms of {self._d} features are the most")
            self._rows[name] = len(self._rows)
            self._examples.append(vw.Example())

    def drop_arm(self, name: str) -> None:
        """Do nothing: an arm that is not eligible is not asked about, and its weights stay."""

    def _row(self, arm: str) -> int:
        try:
            return self._rows[arm]
        except KeyError:
            raise ValueError(f"unknown arm {arm!r}; known are {', '.join(self._rows) or 'none'}") from None

    def state(self) -> bytes:
        """Return the model, in Vowpal Wabbit's own format, as a snapshot."""
        if self._model is None:  # later, its counters would tell how often it was asked
            self._model = self._workspace.serialize()
        model = np.frombuffer(self._model, dtype=np.uint8)
        return snapshot.pack({**self._about(), "arms": list(self._rows)}, {"model": model})

    def restore(self, state: bytes) -> None:
        """Replace the model by a snapshot's. Raises SnapshotError and changes nothing if unusable."""
        header, arrays = snapshot.unpack(state)
        wanted = json.loads(json.dumps(self._about()))
        if {name: header.get(name) for name in wanted} != wanted:
            raise SnapshotError(
                f"snapshot is of {[header.get(name) for name in wanted]}; wanted {list(wanted.values())}"
            )
        arms = [str(name) for name in header.get("arms") or ()]
        if len(set(arms)) != len(arms) or "model" not in arrays:
            raise SnapshotError("snapshot names an arm twice, or holds no model")
        try:
            self._workspace = vw.Workspace(_ON_LOADING, model_data=arrays["model"].tobytes())
        except RuntimeError as error:
            raise SnapshotError(f"Vowpal Wabbit cannot read the snapshot's model: {error}") from error
        self._model = arrays["model"].tobytes()
        self._rows = {name: row for row, name in enumerate(arms)}
        self._examples = [vw.Example() for _ in arms]

    def _about(self) -> dict[str, Any]:
        return {"kind": _KIND, "d": self._d, "fingerprint": self._fingerprint, "arguments": self._arguments}
