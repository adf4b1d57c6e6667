"""How configuration is read: strictly, every key known."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A part of the configuration."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
