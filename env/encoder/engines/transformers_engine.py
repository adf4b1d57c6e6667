"""Any sentence encoder of the `transformers` library, by model id or folder; on a GPU or in bf16 if asked."""

import hashlib
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from highwayman.env.encoder.engines.minilm import minilm_folder
from highwayman.env.errors import EncoderError
from highwayman.env.types import Floats

_DTYPES = ("float32", "bfloat16", "float16")


class TransformersEngine:
    """Mean of a model's last hidden states over the text's tokens, L2-normalised; safe to call from several threads.

    Texts are padded to the longest of their batch. Models that want another pooling (the first token's state, a prompt
    prefix) need an engine of their own: name it by import path.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        device: str = "cpu",
        dtype: str = "float32",
        max_tokens: int = 128,
        threads: int = 1,
    ) -> None:
        """Load `model` (default: MiniLM from its wheel) onto `device`.

        On the CPU torch is held to `threads` threads, in the whole process, as torch has it: beside other busy
        processes, two threads wait for each other far longer than they save.

        Raises:
            EncoderError: torch or transformers is missing, or the model cannot be loaded.
            ValueError: `dtype` is unknown.
        """
        source = model or str(minilm_folder())
        self._torch, self._model, self._tokenizer = load_model(
            source, device=device, dtype=dtype, threads=threads, reads_text=True
        )
        self._device = device
        self._max_tokens = min(max_tokens, getattr(self._model.config, "max_position_embeddings", max_tokens))
        self.fingerprint = f"transformers-{self.width}-{weights_digest(self._model, self._torch)}-{dtype}"

    @property
    def width(self) -> int:
        """Dimensions of an embedding."""
        return int(self._model.config.hidden_size)

    def embed(self, texts: Sequence[str]) -> Floats:
        """Return the embeddings of `texts`, shape (n, width), each of length 1, or 0 where there is no token."""
        if not texts:
            return np.empty((0, self.width))
        with self._torch.inference_mode():
            batch = self._tokenizer(
                list(texts), padding=True, truncation=True, max_length=self._max_tokens, return_tensors="pt"
            ).to(self._device)
            states = self._model(**batch).last_hidden_state.float()
            mask = batch["attention_mask"].unsqueeze(-1).float()
            means = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
            normal = self._torch.nn.functional.normalize(means, dim=1)
        rows: Floats = normal.cpu().numpy().astype(np.float64)
        return rows


def load_model(source: str, *, device: str, dtype: str, threads: int, reads_text: bool = False) -> tuple[Any, Any, Any]:
    """Return torch, the model in a folder or of an id, on its device, and its tokenizer if it reads text.

    On the CPU torch is held to so many threads.

    Raises:
        EncoderError: torch or transformers is missing, or the model cannot be loaded.
        ValueError: `dtype` is unknown.
    """
    if dtype not in _DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(_DTYPES)}, got {dtype!r}")
    torch, library = _libraries()
    try:
        tokenizer = library.AutoTokenizer.from_pretrained(source) if reads_text else None
        model = library.AutoModel.from_pretrained(source, dtype=getattr(torch, dtype)).to(device).eval()
    except Exception as error:  # the library raises many kinds, each explaining itself
        raise EncoderError(f"transformers cannot load {source!r} on {device!r}: {error}") from error
    if device == "cpu":
        torch.set_num_threads(threads)
    return torch, model, tokenizer


def _libraries() -> tuple[Any, Any]:
    """Return torch and transformers. Raises EncoderError where one is missing."""
    try:
        return import_module("torch"), import_module("transformers")
    except ImportError as error:
        raise EncoderError(f"{error}: pip install 'highwayman[torch]'") from error


def weights_digest(model: Any, torch: Any) -> str:
    """Return a short hash of the model's class and of the first weights of each of its tensors."""
    digest = hashlib.blake2b(type(model).__name__.encode(), digest_size=4)
    for name, tensor in sorted(model.state_dict().items()):
        first = tensor.detach().flatten()[:1_024].to("cpu", torch.float32).numpy()
        digest.update(f"{name}{tuple(tensor.shape)}".encode() + first.tobytes())
    return digest.hexdigest()
