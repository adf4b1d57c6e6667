"""The engines that read prompts and images, in `highwayman.yaml`."""

from typing import Annotated

from pydantic import Field

from highwayman.serving.config.strict import Strict


class EncoderConfig(Strict):
    """Which engine turns prompts into features."""

    engine: str = Field(
        default="static", description="`static`, `onnx`, `transformers`, or a class of yours as `module:Class`."
    )
    model: str | None = Field(default=None, description="Of the transformers engine: a model's id or folder.")
    device: str | None = Field(
        default=None, description="Of the transformers engine: where it computes, such as `cpu` or `cuda:0`."
    )
    dtype: str | None = Field(
        default=None, description="Of the transformers engine: in which precision, such as `bfloat16`."
    )
    deadline_s: Annotated[float, Field(gt=0)] = Field(
        default=0.25, description="Seconds that encoding may take; beyond, a decision is made without the text."
    )


class ImagesConfig(Strict):
    """Which engine looks at a request's images."""

    engine: str = Field(
        default="pixels", description="`pixels`, `transformers`, or a class of yours as `module:Class`."
    )
    model: str | None = Field(
        default=None, description="Of the transformers engine: the folder or id of a vision encoder."
    )
    device: str | None = Field(
        default=None, description="Of the transformers engine: where it computes, such as `cpu` or `cuda:0`."
    )
    dtype: str | None = Field(
        default=None, description="Of the transformers engine: in which precision, such as `bfloat16`."
    )

    def options(self) -> dict[str, str]:
        """Return what is given, as the engine takes it."""
        given = {"model": self.model, "device": self.device, "dtype": self.dtype}
        return {name: value for name, value in given.items() if value is not None}
