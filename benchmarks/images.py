"""What looking at images costs: `python -m benchmarks.images`, milliseconds for one that nobody has seen before."""

import base64
import time
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from PIL import Image

from highwayman.env.encoder.features.image_features import make_image_features
from highwayman.env.prompt.image_size import image_size

SIZES = ((512, 512), (1024, 1024), (2048, 1536))
ROUNDS = 7


def main() -> None:
    """Print medians and ranges."""
    features = make_image_features("pixels", image_size)
    for size in SIZES:
        for kind in ("JPEG", "PNG"):
            seconds = []
            for picture in _pictures(size, kind):
                started = time.perf_counter()
                features.look([picture])
                seconds.append(time.perf_counter() - started)
            low, median, high = (1e3 * value for value in np.percentile(seconds, [0, 50, 100]))
            print(f"{kind:5}{size[0]:5} x {size[1]:4}: {median:6.1f} ms ({low:.1f} to {high:.1f})")


def _pictures(size: tuple[int, int], kind: str) -> Iterator[str]:
    """Yield images with the colours of a smooth landscape, and some noise."""
    rng = np.random.default_rng(0)
    for _ in range(ROUNDS):
        coarse = Image.fromarray(rng.integers(0, 256, (9, 16, 3), dtype=np.uint8)).resize(size)
        noisy = np.asarray(coarse).astype(np.int16) + rng.integers(-4, 5, (size[1], size[0], 3), dtype=np.int16)
        file = BytesIO()
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, kind)
        yield base64.b64encode(file.getvalue()).decode()


if __name__ == "__main__":
    main()
