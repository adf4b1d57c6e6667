"""A Vowpal Wabbit workspace over numbers: reused examples, one block of weights per arm; needs the extra `vw`."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import vowpal_wabbit_next as vw

from highwayman.env.types import Floats

ARMS = 128  # for which there is room, dropped ones included
_TINY = 2.0**-20  # value of the feature whose weight carries a penalty: a power of two, so that nothing is rounded
_LOADED = ("--quiet", "--preserve_performance_counters")  # else a restart would change what is learned next
_ADF = ("--cb_explore_adf", "--cb_type", "mtr", "--noconstant", "--quiet", "--random_seed", "1")


def new_model(arguments: Sequence[str], *, d: int) -> bytes:
    """Return the model of `--cb_explore_adf` with more arguments that has learned nothing.

    Raises:
        ValueError: Vowpal Wabbit refuses the arguments.
    """
    try:
        models = vw.Workspace([*_ADF, *arguments, "-b", "8"]).weights().shape[1]
        # The models of one feature lie side by side in the same table, which would wrap around without a word.
        bits = math.ceil(math.log2(ARMS * (d + 1) * models))
        return vw.Workspace([*_ADF, *arguments, "-b", str(bits)]).serialize()
    except RuntimeError as error:
        raise ValueError(f"Vowpal Wabbit refuses {' '.join(arguments)}: {error}") from error


class VwWorkspace:
    """A loaded model, which predicts and learns about arms by their place.

    A penalty is the weight, times 2^20, of one more feature of each arm, always 2^-20 and in no round learned: so every
    exploration sees predicted cost plus penalty, and none takes the penalty for something it knows of the query.
    """

    def __init__(self, model: bytes, *, d: int, penalised: int | None) -> None:
        """Load a model.

        Args:
            model: in Vowpal Wabbit's own format.
            d: number of features.
            penalised: of the models side by side, how many predict costs; None: all.

        Raises:
            ValueError: it cannot be read, has too little room, or holds a weight that is not finite.
        """
        try:
            self._workspace = vw.Workspace(list(_LOADED), model_data=model)
        except RuntimeError as error:
            raise ValueError(f"Vowpal Wabbit cannot read the model: {error}") from error
        weights: Any = self._workspace.weights()  # a view; it reaches beyond the table where models lie side by side
        capacity = len(weights) // weights.shape[1]
        if capacity < ARMS * (d + 1):
            raise ValueError(f"the model has room for {capacity} weights, {ARMS} arms of {d} features need more")
        if not np.isfinite(weights[:capacity]).all():
            raise ValueError("the model holds a weight that is not finite")
        self._penalties = weights[d : capacity : d + 1, :penalised, 0]  # (at least ARMS, models)
        self._values = np.full(d + 1, _TINY, dtype=np.float32)
        self._d = d
        self._examples: list[Any] = []  # one for each arm, made once and filled anew each time
        self._groups: list[Any] = []
        self._indices: list[tuple[Any, Any]] = []  # of the features and the penalty, and of the features alone
        self._unlabelled = vw.CBLabel()

    def probs(self, x: Floats, places: Sequence[int], penalties: Floats) -> Floats:
        """Return the probability of each of K arms, shape (K,), for features (d,) and penalties (K,)."""
        values = self._values
        values[:-1] = x
        self._make(max(places) + 1)
        for place in places:
            self._fill(place, self._indices[place][0], values)
        self._penalties[list(places)] = (penalties / _TINY)[:, None]
        predicted: Any = self._workspace.predict_one([self._examples[place] for place in places])
        probs = np.zeros(len(places))
        for place, prob in predicted:
            probs[place] = prob
        shares: Floats = np.maximum(probs, 0.0) / probs.sum()
        return shares

    def learn(self, x: Floats, place: int, *, cost: float, weight: float) -> None:
        """Teach the arm at a place what answering a query of features (d,) cost."""
        self._make(place + 1)
        self._fill(place, self._indices[place][1], x.astype(np.float32))
        example = self._examples[place]
        example.set_label(vw.CBLabel(label=(cost, 1.0), weight=weight))
        self._workspace.learn_one([example])
        example.set_label(self._unlabelled)

    def _fill(self, place: int, indices: Any, values: Any) -> None:
        group = self._groups[place]
        group.truncate_to(0)
        group.push_many_features(indices, values)

    def _make(self, count: int) -> None:
        """Have examples for so many arms."""
        for place in range(len(self._examples), count):
            example, block = vw.Example(), np.arange(self._d + 1, dtype=np.uint64) + np.uint64(place * (self._d + 1))
            example.set_label(self._unlabelled)
            self._examples.append(example)
            self._groups.append(example["f"])
            self._indices.append((block, block[:-1].copy()))

    def serialize(self) -> bytes:
        """Return the model in Vowpal Wabbit's own format. It counts its predictions, and keeps penalties."""
        model: bytes = self._workspace.serialize()
        return model
