"""Policies learn how like a question must be for its answer to do."""

import numpy as np
import pytest

from highwayman.bandit.policies.hier_ts import HierTS
from highwayman.env.encoder.encoder import make_encoder
from highwayman.env.encoder.features.similarity_bands import SimilarityBands
from highwayman.env.encoder.features.tags import TagColumns
from highwayman.env.types import Query, RewardChange

BANDS = SimilarityBands(0.7)


@pytest.mark.parametrize(("similarity", "band"), [(0.7, 0), (0.79, 0), (0.81, 1), (0.95, 2), (1.0, 2)])
def test_likenesses_are_told_in_three_steps(similarity: float, band: int) -> None:
    assert BANDS.place(similarity) == ("answer_cache", band)
    assert SimilarityBands(1.0).place(1.0) == ("answer_cache", 2)


def test_a_cache_whose_less_like_answers_are_bad_is_given_only_where_a_question_is_much_like() -> None:
    encoder = make_encoder(tags=TagColumns((BANDS.tag(),)))
    policy, arms = HierTS(d=encoder.d, fingerprint=encoder.fingerprint), ("model", "cache-semantic")
    for name in arms:
        policy.add_arm(name)
    words = ("rivers", "bees", "poems", "taxes", "steel", "moons", "bread", "trains")
    texts = [f"Question about {word}" for word in words]
    qualities = {0: 0.2, 2: 0.95}
    for text in texts * 8:
        for band, quality in qualities.items():
            at = encoder.encode_blocking(Query(text, len(text), tags=(("answer_cache", band),))).features
            policy.learn(
                [
                    RewardChange("model", at, 1.0, 0.8, 0.64),
                    RewardChange("cache-semantic", at, 1.0, quality, quality**2),
                ]
            )
    less, much = (
        policy.probs(
            encoder.encode_blocking(Query("Who was it?", 11, tags=(("answer_cache", band),))), arms, np.zeros(2)
        )
        for band in qualities
    )
    encoder.close()
    assert less[1] < 0.2
    assert much[1] > 0.8
