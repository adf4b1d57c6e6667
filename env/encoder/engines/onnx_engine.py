"""MiniLM in int8 through onnxruntime: one thread, no torch. The graph is built once and kept in the user's cache."""

import hashlib
import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from highwayman.env.encoder.engines.minilm import CLS, SEP, minilm_folder, minilm_tokenizer
from highwayman.env.encoder.engines.minilm_graph import RECIPE, write_graph
from highwayman.env.errors import EncoderError
from highwayman.env.types import Floats

WEIGHTS: Final = "model.safetensors"


class OnnxEngine:
    """MiniLM (Wang et al., 2020) as a sentence encoder; safe to call from several threads.

    Each text runs alone: int8 activations are scaled by the largest of a whole batch, so a text's vector would depend
    on its neighbours', and on one thread batching gains nothing. Of a text of more than `max_tokens` tokens the first
    three quarters and the last quarter are read; the model was trained on 128.
    """

    width = 384

    def __init__(self, *, cache: Path | None = None, max_tokens: int = 128) -> None:
        """Open the graph in `cache` (default: $XDG_CACHE_HOME/highwayman), building it first if it is not there.

        Raises:
            EncoderError: onnxruntime, onnx or the weights are missing, or the cached file is damaged.
        """
        runtime = _runtime()
        folder = minilm_folder()
        self._tokenizer = minilm_tokenizer(folder)
        self._max_tokens = max_tokens
        with (folder / WEIGHTS).open("rb") as weights:
            digest = hashlib.file_digest(weights, "sha256").hexdigest()[:8]
        self.fingerprint = f"onnx-{self.width}-{digest}-{RECIPE}"
        path = (cache or default_cache()) / f"minilm-{digest}-{RECIPE}.onnx"
        if not path.exists():
            write_graph(folder / WEIGHTS, path)
        self._session = _session(runtime, path)

    def embed(self, texts: Sequence[str]) -> Floats:
        """Return the embeddings of `texts`, shape (n, width), each of length 1."""
        return np.stack([self._one(text) for text in texts]) if texts else np.empty((0, self.width))

    def _one(self, text: str) -> Floats:
        (states,) = self._session.run(None, {"ids": self._ids(text)})
        mean: Floats = states[0].mean(axis=0, dtype=np.float64)
        return mean / np.linalg.norm(mean)

    def _ids(self, text: str) -> npt.NDArray[np.int64]:
        """Return the text's tokens between its marks, shape (1, t)."""
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        limit = self._max_tokens - 2
        if len(ids) > limit:
            ids = ids[: limit - limit // 4] + ids[-(limit // 4) :]
        return np.array([[CLS, *ids, SEP]], dtype=np.int64)


def default_cache() -> Path:
    """Return the folder for what can be made again: $XDG_CACHE_HOME/highwayman, else ~/.cache/highwayman."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "highwayman"


def _runtime() -> Any:
    try:
        return import_module("onnxruntime")
    except ImportError as error:
        raise EncoderError(f"{error}: pip install 'highwayman[onnx]'") from error


def _session(runtime: Any, path: Path) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class
        raise EncoderError(f"{path} cannot be opened ({error}); delete it and it is built again") from error
