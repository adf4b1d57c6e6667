"""Any vision encoder of the `transformers` library, by its folder or id: ViT, CLIP, SigLIP, DINO and their like."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from highwayman.env.encoder.engines.pictures import PictureReader
from highwayman.env.encoder.engines.transformers_engine import load_model, weights_digest
from highwayman.env.errors import EncoderError
from highwayman.env.types import Floats

_MIDDLE = [0.5, 0.5, 0.5]


class VisionEngine:
    """What a model makes of an image as a whole, L2-normalised; safe to call from several threads.

    An image is scaled to the model's square without being cropped, and normalised as the folder's
    `preprocessor_config.json` says, if it has one.
    """

    def __init__(self, model: str, *, device: str = "cpu", dtype: str = "float32", threads: int = 1) -> None:
        """Load `model` onto `device`.

        Raises:
            EncoderError: torch, transformers or Pillow is missing, or the model cannot be loaded, or sees no images.
            ValueError: `dtype` is unknown.
        """
        self._reader = PictureReader()
        self._torch, self._model, _ = load_model(model, device=device, dtype=dtype, threads=threads)
        self._side = _side(self._model, model)
        self._mean, self._deviation = _normalisation(Path(model) / "preprocessor_config.json")
        self._like = next(self._model.parameters())
        first = self.embed_pixels(np.full((self._side, self._side, 3), 0.5))
        self.width = len(first)
        self.fingerprint = f"vision-{self.width}-{weights_digest(self._model, self._torch)}-{dtype}"

    def embed(self, image: bytes) -> Floats | None:
        """Return an image's vector (width,) of length 1, None for what cannot be read."""
        pixels = self._reader.pixels(image, side=self._side)
        return None if pixels is None else self.embed_pixels(pixels)

    def embed_pixels(self, pixels: Floats) -> Floats:
        """Return the vector (width,) of pixels in [0, 1], (side, side, 3)."""
        planes = ((pixels - self._mean) / self._deviation).transpose(2, 0, 1)[None]
        with self._torch.inference_mode():
            batch = self._torch.tensor(planes, dtype=self._like.dtype, device=self._like.device)
            if hasattr(self._model, "get_image_features"):
                output = self._model.get_image_features(pixel_values=batch)
            else:
                output = self._model(pixel_values=batch)
            states = _pooled(output).float()
            row: Floats = self._torch.nn.functional.normalize(states, dim=1)[0].cpu().numpy().astype(np.float64)
        return row


def _pooled(output: Any) -> Any:
    """Return one row an image, (1, width): as the model pools them, or else the mean of its states."""
    pooled = output if hasattr(output, "shape") else getattr(output, "pooler_output", None)
    if pooled is None:
        pooled = output.last_hidden_state
    return pooled if pooled.ndim == 2 else pooled.flatten(2).mean(2) if pooled.ndim == 4 else pooled.mean(1)


def _side(model: Any, name: str) -> int:
    config = getattr(model.config, "vision_config", model.config)
    side = getattr(config, "image_size", None)
    side = side[0] if isinstance(side, list | tuple) else side
    if not isinstance(side, int):
        raise EncoderError(f"{name!r} does not say how large its images are (image_size): is it a vision encoder?")
    return side


def _normalisation(file: Path) -> tuple[Floats, Floats]:
    """Return mean and deviation by colour, (3,) each. Raises EncoderError for a file that cannot be read."""
    try:
        said = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        mean, deviation = said.get("image_mean") or _MIDDLE, said.get("image_std") or _MIDDLE
        return np.array(mean, dtype=float).reshape(3), np.array(deviation, dtype=float).reshape(3)
    except (AttributeError, OSError, TypeError, ValueError) as error:
        raise EncoderError(f"{file}: {error}") from error
