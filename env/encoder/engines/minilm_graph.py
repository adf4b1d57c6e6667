"""Writes MiniLM as an int8 ONNX graph straight from its weights: no torch, no tracing."""

from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from highwayman.env.atomic_write import write_atomically
from highwayman.env.encoder.engines.minilm import read_safetensors
from highwayman.env.errors import EncoderError

RECIPE: Final = "g2"  # part of the file's name and of the fingerprint: raise it whenever the graph changes
LAYERS, HEADS, WIDTH, EPSILON, OPSET = 6, 12, 384, 1e-12, 17
CONTRIB: Final = "com.microsoft"  # onnxruntime's own fused operators
# Seven bits: processors without VNNI add two 8-bit products in 16 bits, which full-range weights overflow.
LARGEST: Final = 63

Array = npt.NDArray[Any]


def write_graph(weights: Path, path: Path) -> None:
    """Write the graph to `path`, whole or not at all: ids (1, t) in, last hidden states (1, t, 384) out.

    Raises:
        EncoderError: onnx is missing, the weights are unreadable, or the folder cannot be written.
    """
    try:
        onnx = import_module("onnx")
    except ImportError as error:
        raise EncoderError(
            f"the MiniLM graph is built once, with onnx: {error}; pip install 'highwayman[onnx]'"
        ) from error
    try:
        blob = _Builder(onnx, read_safetensors(weights)).model().SerializeToString()
    except KeyError as error:
        raise EncoderError(f"{weights} is not MiniLM: it has no tensor {error}") from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, blob)
    except OSError as error:
        raise EncoderError(f"cannot write {path}: {error}. Set XDG_CACHE_HOME to a folder that can be") from error


def quantised(weight: Array) -> tuple[Array, Array]:
    """Return int8 columns (n, m) and their float32 scales (m,), whose product is about `weight`."""
    scale = np.maximum(np.abs(weight).max(axis=0), 1e-12) / LARGEST
    return np.round(weight / scale).astype(np.int8), scale.astype(np.float32)


class _Builder:
    """Adds BERT's operators one by one (Devlin et al., 2019), fused as onnxruntime has them, with int8 weights."""

    def __init__(self, onnx: Any, tensors: dict[str, npt.NDArray[np.float32]]) -> None:
        self._onnx, self._tensors = onnx, tensors
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def model(self) -> Any:
        """Return the graph."""
        helper, kind = self._onnx.helper, self._onnx.TensorProto
        states = self._embeddings()
        for layer in range(LAYERS):
            states = self._layer(states, f"encoder.layer.{layer}.")
        self._nodes[-1].output[0] = "states"
        graph = helper.make_graph(
            self._nodes,
            "minilm",
            [helper.make_tensor_value_info("ids", kind.INT64, [1, "t"])],
            [helper.make_tensor_value_info("states", kind.FLOAT, [1, "t", WIDTH])],
            list(self._constants.values()),
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def _embeddings(self) -> str:
        """Add the sum of each token's own vector, its place's and its segment's, normalised."""
        names = [f"embeddings.{part}_embeddings.weight" for part in ("word", "position", "token_type")]
        words, places, segments = (self._tensors[name] for name in names)
        rows, scales = quantised(words.T)
        row = self._node("Cast", [self._node("Gather", [self._constant("words", rows.T), "ids"])], to=1)
        scale = self._node("Gather", [self._constant("word_scales", scales[:, None]), "ids"])
        length = self._node("Shape", ["ids"], start=1, end=2)
        place = self._node(
            "Slice", [self._constant("places", places + segments[0]), self._constant("start", np.array([0])), length]
        )
        total = self._node("Add", [self._node("Mul", [row, scale]), place])
        return self._node("LayerNormalization", [total, *self._norm("embeddings.LayerNorm")], epsilon=EPSILON)

    def _layer(self, states: str, prefix: str) -> str:
        attention = f"{prefix}attention."
        attended = self._attention(states, f"{attention}self.")
        states = self._join(self._product(attended, f"{attention}output.dense"), states, f"{attention}output")
        inner = self._product(states, f"{prefix}intermediate.dense")
        active = self._node("BiasGelu", [inner, self._own(f"{prefix}intermediate.dense.bias")], domain=CONTRIB)
        return self._join(self._product(active, f"{prefix}output.dense"), states, f"{prefix}output")

    def _attention(self, states: str, prefix: str) -> str:
        parts = [f"{prefix}{part}" for part in ("query", "key", "value")]
        columns = np.concatenate([self._tensors[f"{part}.weight"].T for part in parts], axis=1)
        bias = self._constant(f"{prefix}bias", np.concatenate([self._tensors[f"{part}.bias"] for part in parts]))
        weight, weight_scale = self._quantised(f"{prefix}weight", columns)
        whole, scale, zero = self._nodes_of("DynamicQuantizeLinear", [states], outputs=3)
        inputs = [whole, weight, bias, scale, weight_scale, "", zero]
        return self._node("QAttention", inputs, domain=CONTRIB, num_heads=HEADS)

    def _product(self, states: str, name: str) -> str:
        weight = self._quantised(f"{name}.weight", self._tensors[f"{name}.weight"].T)
        return self._node("DynamicQuantizeMatMul", [states, *weight], domain=CONTRIB)

    def _join(self, new: str, old: str, name: str) -> str:
        """Add a layer's output, its bias and its input, and normalise."""
        inputs = [new, old, *self._norm(f"{name}.LayerNorm"), self._own(f"{name}.dense.bias")]
        return self._node("SkipLayerNormalization", inputs, domain=CONTRIB, epsilon=EPSILON)

    def _norm(self, name: str) -> list[str]:
        return [self._own(f"{name}.weight"), self._own(f"{name}.bias")]

    def _own(self, name: str) -> str:
        return self._constant(name, self._tensors[name])

    def _quantised(self, name: str, array: Array) -> list[str]:
        weight, scale = quantised(array)
        return [self._constant(name, weight), self._constant(f"{name}.scale", scale)]

    def _constant(self, name: str, array: Array) -> str:
        self._constants[name] = self._onnx.numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def _node(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        return self._nodes_of(operator, inputs, outputs=1, **attributes)[0]

    def _nodes_of(self, operator: str, inputs: list[str], *, outputs: int, **attributes: Any) -> list[str]:
        names = [f"{operator}_{len(self._nodes)}_{place}" for place in range(outputs)]
        self._nodes.append(self._onnx.helper.make_node(operator, inputs, names, **attributes))
        return names
