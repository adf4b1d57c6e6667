"""The part of the configuration that says which answers are given again."""

from typing import Annotated

from pydantic import Field

from highwayman.env.encoder.features.similarity_bands import SimilarityBands
from highwayman.env.encoder.features.tags import Tag
from highwayman.env.pool.cached_arms import EXACT, SEMANTIC
from highwayman.serving.config.strict import Strict


class AnswerCacheConfig(Strict):
    """Answers are stored in Redis, and given again within a tenant; without this part of the file none is."""

    lifetime_s: Annotated[float, Field(ge=1)] = Field(
        default=3600.0, description="Seconds for which an answer may be given again."
    )
    entries: Annotated[int, Field(ge=10, le=100_000)] = Field(
        default=5_000, description="Answers that are kept, of all tenants together; the oldest go first."
    )
    similarity: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None,
        description=(
            "From which cosine on a question is like a stored one; null: only the same question gets a stored answer."
        ),
    )
    max_temperature: Annotated[float, Field(ge=0)] = Field(
        default=0.5,
        description=(
            "A request above it asks for variety, and gets no stored answer; one that gives none asks for none."
        ),
    )
    repeat_s: Annotated[float, Field(ge=0)] = Field(
        default=600.0, description="A person who asks the same again within so many seconds wants another answer."
    )

    def tags(self) -> list[Tag]:
        """Return what policies are told of a stored question: how like it is."""
        return [] if self.similarity is None else [SimilarityBands(self.similarity).tag()]

    def arm_names(self) -> list[str]:
        """Return the arms that give stored answers."""
        return [EXACT] if self.similarity is None else [EXACT, SEMANTIC]
