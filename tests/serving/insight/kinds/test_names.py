"""Kinds told apart and named, by the encoder that is shipped."""

from collections import Counter

import numpy as np
import pytest

from highwayman.demo.questions.prompts import Prompt, generate
from highwayman.env.encoder.encoder import Encoder, make_encoder
from highwayman.env.types import Floats, Query
from highwayman.serving.insight.kinds.clustering import FeatureColumns, Labels, group, laid_out
from highwayman.serving.insight.kinds.names import WordTable, own_words


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return make_encoder()


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    return generate(500, seed=3)


@pytest.fixture(scope="module")
def features(encoder: Encoder, prompts: list[Prompt]) -> Floats:
    contexts = encoder.encode_many([Query(prompt.text, len(prompt.text)) for prompt in prompts])
    return np.stack([context.features for context in contexts])


@pytest.fixture(scope="module")
def labels(encoder: Encoder, features: Floats) -> Labels:
    points = FeatureColumns.of(encoder.names, own=encoder.tags.width).points(features)
    return group(points, rng=np.random.default_rng(0))


def test_the_demos_kinds_of_prompt_are_told_apart_by_what_their_texts_say(
    prompts: list[Prompt], labels: Labels
) -> None:
    kinds = [Counter(prompt.kind for prompt, own in zip(prompts, labels, strict=True) if own == label)
             for label in range(labels.max() + 1)]  # fmt: skip
    assert sum(max(kind.values()) for kind in kinds) > 0.8 * len(prompts)
    assert [sum(kind.values()) for kind in kinds] == sorted((sum(kind.values()) for kind in kinds), reverse=True)


def test_without_prompts_a_kind_is_named_by_words_of_the_vocabulary_that_say_what_it_is_about(
    encoder: Encoder, features: Floats, labels: Labels, prompts: list[Prompt]
) -> None:
    text = features[:, FeatureColumns.of(encoder.names, own=encoder.tags.width).text]
    kinds = range(labels.max() + 1)
    names = WordTable(encoder).nearest(np.stack([text[labels == kind].mean(axis=0) for kind in kinds]), text.mean(0))
    of_kind: dict[str, set[str]] = {}
    for kind, name in zip(kinds, names, strict=True):
        usual = Counter(prompt.kind for prompt, own in zip(prompts, labels, strict=True) if own == kind)
        of_kind.setdefault(usual.most_common(1)[0][0], set()).update(name)
    assert {"twelve", "eleven"} & of_kind["arithmetic"]
    assert "europe" in of_kind["facts"]
    assert "good" in of_kind["sentiment"]
    assert {"price", "dollars"} & of_kind["extraction"]
    assert all(len(set(name)) == 3 for name in names)


def test_where_prompts_are_kept_a_kind_is_named_by_its_own_words() -> None:
    kinds = [
        ["Translate the letter.", "Translate this poem, please."],
        ["Add three and four.", "Add five."],
        [None, None],
    ]
    assert [name[:1] for name in own_words(kinds)] == [("translate",), ("add",), ()]


def test_points_lie_the_same_way_each_time_with_most_of_what_tells_them_apart_along_the_first_axis() -> None:
    points = np.random.default_rng(0).normal(size=(200, 5)) * [1.0, 5.0, 1.0, 2.0, 1.0]
    flat = laid_out(points)
    assert flat.shape == (200, 2)
    assert np.corrcoef(flat[:, 0], points[:, 1])[0, 1] > 0.99
    assert np.array_equal(flat, laid_out(points.copy()))
    assert laid_out(points[:1]).tolist() == [[0.0, 0.0]]
