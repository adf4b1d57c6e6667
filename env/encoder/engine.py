"""What turns texts into vectors, and which engine a name means."""

from collections.abc import Sequence
from typing import Any, Final, Protocol

from highwayman.env.class_paths import class_at
from highwayman.env.encoder.engines.static_engine import ASSETS, StaticEngine
from highwayman.env.errors import EncoderError
from highwayman.env.types import Floats

SHIPPED_PROJECTIONS: Final = {
    "static": ASSETS / "projection_static.npz",
    "onnx": ASSETS / "projection_minilm.npz",
    "transformers": ASSETS / "projection_minilm.npz",
}


class Engine(Protocol):
    """Turns texts into vectors. `embed` blocks; it is called from one worker thread, and from offline code's own.

    An engine that needs no more than a thread's hand-over costs, some 100 us, says so by an attribute `inline = True`:
    it is then called in the event loop's own thread.
    """

    @property
    def fingerprint(self) -> str:
        """Its name and a hash of its assets: equal fingerprints give equal vectors, but for rounding."""

    @property
    def width(self) -> int:
        """Dimensions of a vector."""

    def embed(self, texts: Sequence[str]) -> Floats:
        """Return one vector per text, shape (n, width), each of length 1, or 0 where nothing is known of the text."""


def make_engine(name: str, **options: Any) -> Engine:
    """Return an engine by name: `static`, `onnx`, `transformers`, or the import path `module:Class` of one's own.

    Raises:
        EncoderError: the name is unknown, or a library or an asset is missing.
    """
    if name == "transformers":  # loaded by those who take it
        from highwayman.env.encoder.engines.transformers_engine import TransformersEngine  # noqa: PLC0415

        return TransformersEngine(**options)
    if ":" in name:
        return _imported(name, options)
    if name not in {"static", "onnx"}:
        raise EncoderError(f"unknown encoder {name!r}: give static, onnx, transformers or module:Class")
    if options:
        raise EncoderError(f"encoder {name!r} takes no {', '.join(options)}; only transformers does")
    if name == "static":
        return StaticEngine()
    from highwayman.env.encoder.engines.onnx_engine import OnnxEngine  # noqa: PLC0415

    return OnnxEngine()


def _imported(path: str, options: dict[str, Any]) -> Engine:
    try:
        engine: Engine = class_at(path)(**options)
    except (ImportError, AttributeError, TypeError) as error:
        raise EncoderError(f"encoder {path!r}: {error}") from error
    return engine
