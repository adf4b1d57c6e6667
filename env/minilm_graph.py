"""Writes MiniLM as an int8 ONNX graph straight from its weights: no torch, no tracing."""

import os
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from highwayman.env.encoder_minilm import read_safetensors
from highwayman.env.errors import EncoderError

RECIPE: Final = "g1"  # part of the file's name and of the fingerprint: raise it whenever the graph changes
LAYERS, HEADS, WIDTH, EPSILON, OPSET = 6, 12, 384, 1e-12, 17
CONTRIB: Final = "com.microsoft"  # onnxruntime's own fused operators

Array = npt.NDArray[np.float32]


def write_graph(weights: Path, path: Path) -> None:
    """Write the graph to `path`, whole or not at all: ids (1, t) in, last hidden states (1, t, 384) out.

    Raises:
        EncoderError: onnx is missing, the weights are unreadable, or the folder cannot be written.
    """
    onnx, quantization = _libraries()
    model = _Builder(onnx, read_safetensors(weights)).model()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            draft = Path(folder) / path.name
            quantization.quantize_dynamic(
                model, draft, per_channel=True, reduce_range=True, extra_options={"DefaultTensorType": 1}
            )
            os.replace(draft, path)
    except OSError as error:
        raise EncoderError(f"cannot write {path}: {error}. Set XDG_CACHE_HOME to a folder that can be") from error


def _libraries() -> tuple[Any, Any]:
    try:
        return import_module("onnx"), import_module("onnxruntime.quantization")
    except ImportError as error:
        raise EncoderError(
            f"building the MiniLM graph, once, needs more: {error}; pip install 'highwayman[onnx]'"
        ) from error


class _Builder:
    """Adds BERT's operators one by one (Devlin et al., 2019), with the weights' own names."""

    def __init__(self, onnx: Any, tensors: dict[str, Array]) -> None:
        self._onnx, self._tensors = onnx, tensors
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def model(self) -> Any:
        """Return the float32 graph, ready to be quantised."""
        helper, kind = self._onnx.helper, self._onnx.TensorProto
        states = self._embeddings()
        for layer in range(LAYERS):
            states = self._layer(states, f"encoder.layer.{layer}.")
        self._nodes.append(helper.make_node("Identity", [states], ["states"]))
        graph = helper.make_graph(
            self._nodes,
            "minilm",
            [helper.make_tensor_value_info("ids", kind.INT64, [1, "t"])],
            [
                helper.make_tensor_value_info(
                    "states", kind.FLOAT, [1, "t", self._tensors["embeddings.LayerNorm.bias"].size]
                )
            ],
            list(self._constants.values()),
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        # Says to the quantiser that nothing is left to fuse, which is so: the operators below are the fused ones.
        helper.set_model_props(model, {"onnx.quant.pre_process": "onnxruntime.quant"})
        return model

    def _embeddings(self) -> str:
        names = [f"embeddings.{part}_embeddings.weight" for part in ("word", "position", "token_type")]
        words, places, kinds = (self._tensors[name] for name in names)
        word = self._node("Gather", [self._constant("words", words), "ids"])
        length = self._node("Shape", ["ids"], start=1, end=2)
        place = self._node("Slice", [self._constant("places", places + kinds[0]), self._integer("zero", 0), length])
        total = self._node("Add", [word, place])
        return self._node("LayerNormalization", [total, *self._norm("embeddings.LayerNorm")], epsilon=EPSILON)

    def _layer(self, states: str, prefix: str) -> str:
        attention = f"{prefix}attention."
        inputs = [states, *self._query_key_value(f"{attention}self.")]
        attended = self._node("Attention", inputs, domain=CONTRIB, num_heads=HEADS)
        states = self._join(self._product(attended, f"{attention}output.dense"), states, f"{attention}output")
        inner = self._product(states, f"{prefix}intermediate.dense")
        active = self._node("BiasGelu", [inner, self._own(f"{prefix}intermediate.dense.bias")], domain=CONTRIB)
        return self._join(self._product(active, f"{prefix}output.dense"), states, f"{prefix}output")

    def _query_key_value(self, prefix: str) -> list[str]:
        parts = [f"{prefix}{part}" for part in ("query", "key", "value")]
        weight = np.concatenate([self._tensors[f"{part}.weight"].T for part in parts], axis=1)
        bias = np.concatenate([self._tensors[f"{part}.bias"] for part in parts])
        return [self._constant(f"{prefix}weight", weight), self._constant(f"{prefix}bias", bias)]

    def _product(self, states: str, name: str) -> str:
        return self._node("MatMul", [states, self._constant(f"{name}.weight", self._tensors[f"{name}.weight"].T)])

    def _join(self, new: str, old: str, name: str) -> str:
        """Add a layer's output, its bias and its input, and normalise."""
        inputs = [new, old, *self._norm(f"{name}.LayerNorm"), self._own(f"{name}.dense.bias")]
        return self._node("SkipLayerNormalization", inputs, domain=CONTRIB, epsilon=EPSILON)

    def _norm(self, name: str) -> list[str]:
        return [self._own(f"{name}.weight"), self._own(f"{name}.bias")]

    def _own(self, name: str) -> str:
        return self._constant(name, self._tensors[name])

    def _constant(self, name: str, array: Array) -> str:
        self._constants[name] = self._onnx.numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def _integer(self, name: str, value: int) -> str:
        self._constants[name] = self._onnx.numpy_helper.from_array(np.array([value], dtype=np.int64), name)
        return name

    def _node(self, operator: str, inputs: list[str], *, domain: str = "", **attributes: Any) -> str:
        output = f"{operator}_{len(self._nodes)}"
        self._nodes.append(
            self._onnx.helper.make_node(operator, inputs, [output], name=output, domain=domain, **attributes)
        )
        return output
