"""What is seen of a request's images, and that nothing changes where there are none."""

import base64
import threading
from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from highwayman.bandit.policies.hier_ts import HierTS
from highwayman.env.encoder.encoder import Encoder, make_encoder
from highwayman.env.encoder.engines.pixel_engine import PixelEngine
from highwayman.env.encoder.features.image_features import ImageFeatures, make_image_features
from highwayman.env.encoder.features.tags import Tag, TagColumns, measured_columns, tag_places, translated
from highwayman.env.errors import EncoderError
from highwayman.env.prompt.image_size import image_size
from highwayman.env.types import Floats, Query, RewardChange

WIDTH = 12  # of the columns
TEXT = "What is in this picture?"


def picture(
    colour: tuple[int, int, int] = (200, 30, 30), *, size: tuple[int, int] = (64, 32), kind: str = "PNG"
) -> str:
    """An image of one colour, in base64."""
    file = BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


def query(*pictures: str, text: str = TEXT) -> Query:
    return Query(text, len(text), images=len(pictures), pictures=pictures)


@pytest.fixture(scope="module")
def seeing() -> Iterator[Encoder]:
    """An encoder that looks at images."""
    encoder = make_encoder(tags=TagColumns((Tag("task", ("a", "b")),)), deadline_s=30.0)
    encoder.look_at(make_image_features("pixels", image_size))
    yield encoder
    encoder.close()


def columns(features: Floats) -> Floats:
    return features[3 : 3 + WIDTH]


async def test_a_query_without_images_has_the_features_that_it_had_to_the_bit(seeing: Encoder) -> None:
    blind = make_encoder()
    before, now = await blind.encode(query()), await seeing.encode(query())
    blind.close()
    assert now.features[3 + WIDTH :].tobytes() == before.features.tobytes()
    assert not now.features[: 3 + WIDTH].any()
    assert now.flags == before.flags
    assert seeing.names[-blind.d :] == blind.names
    assert seeing.fingerprint.startswith(f"{blind.fingerprint}/tags-task.3.")


async def test_images_are_told_apart_by_their_form_and_by_their_pixels(seeing: Encoder) -> None:
    red, same, blue, wide, jpeg = [
        columns((await seeing.encode(query(made))).features)
        for made in (
            picture(), picture(), picture((20, 20, 220)), picture(size=(512, 32)), picture(kind="JPEG"),
        )
    ]  # fmt: skip
    assert np.array_equal(red, same)
    assert (red[:3] == blue[:3]).all()
    assert np.linalg.norm(red[4:] - blue[4:]) > 0.1
    assert wide[2] > red[2] == pytest.approx(1 / 3)
    assert np.linalg.norm(red[4:] - jpeg[4:]) < 0.02
    assert np.abs([red, blue, wide, jpeg]).max() <= 1.0


async def test_several_images_are_their_mean_and_only_the_last_four_are_looked_at(seeing: Encoder) -> None:
    red, blue = picture(), picture((20, 20, 220))
    both, one, other = [
        columns((await seeing.encode(query(*made))).features) for made in ((red, blue), (red,), (blue,))
    ]
    assert both == pytest.approx((one + other) / 2, abs=1e-6)
    many = await seeing.encode(query(blue, red, red, red, red))
    assert columns(many.features) == pytest.approx(one, abs=1e-6)
    assert "image_unseen" in many.flags


@pytest.mark.parametrize(
    "unseen",
    [
        "",
        "!!!!",
        "\ud800",
        base64.b64encode(b"no image at all").decode(),
        base64.b64encode(b"\x89PNG\r\n\x1a\n").decode(),
    ],
    ids=["only an address", "no base64", "no text", "no image", "cut off"],
)
async def test_what_is_not_here_or_is_no_image_counts_as_unseen_and_is_flagged(seeing: Encoder, unseen: str) -> None:
    alone, beside = await seeing.encode(query(unseen)), await seeing.encode(query(picture(), unseen))
    assert not columns(alone.features).any()
    assert columns(beside.features)[0] == 0.5
    assert "image_unseen" in alone.flags & beside.flags
    assert "image_unseen" not in (await seeing.encode(query(picture()))).flags


async def test_an_image_too_large_to_be_decoded_is_known_by_its_size_alone(seeing: Encoder) -> None:
    vast = bytearray(base64.b64decode(picture(size=(8, 8))))
    vast[16:24] = (30_000).to_bytes(4, "big") * 2
    context = await seeing.encode(query(base64.b64encode(vast).decode()))
    assert columns(context.features)[:2].tolist() == [0.0, 1.0]
    assert not columns(context.features)[4:].any()
    assert "image_unseen" in context.flags


async def test_many_queries_at_once_have_the_features_of_each(seeing: Encoder) -> None:
    queries = [query(picture()), query(), query(picture((0, 0, 0)), "")]
    for context, asked in zip(seeing.encode_many(queries), queries, strict=True):
        alone = await seeing.encode(asked)
        assert context.features.tobytes() == alone.features.tobytes()
        assert context.flags == alone.flags


class HeldEngine(PixelEngine):
    """Takes as long as it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def embed(self, image: bytes) -> Floats | None:
        self.go_on.wait(10)
        return super().embed(image)


async def test_a_look_that_takes_too_long_leaves_the_rest_of_the_features_and_a_flag() -> None:
    encoder, engine = make_encoder(deadline_s=0.05), HeldEngine()
    encoder.look_at(ImageFeatures(engine, image_size))
    context = await encoder.encode(query(picture()))
    engine.go_on.set()
    encoder.close()
    assert "image_unseen" in context.flags
    assert not context.features[:WIDTH].any()
    assert context.features[WIDTH:].any()


async def test_what_was_learned_without_images_is_read_as_having_seen_none(seeing: Encoder) -> None:
    blind = make_encoder()
    old = translated(await blind.encode(query()), seeing.fingerprint)
    blind.close()
    assert old is not None
    assert old.features.tobytes() == (await seeing.encode(query())).features.tobytes()
    told = measured_columns(seeing.fingerprint)
    assert told is not None
    assert (told.width, told.fingerprint) == (WIDTH, seeing.tags.measured and seeing.tags.measured.fingerprint)
    seen = await seeing.encode(query(picture()))
    assert tag_places(seen) == {}
    assert translated(seen, blind.fingerprint) is not None


async def test_that_arms_differ_in_what_they_see_is_learned(seeing: Encoder) -> None:
    policy, arms = HierTS(d=seeing.d, fingerprint=seeing.fingerprint), ("reads pages", "knows photographs")
    for name in arms:
        policy.add_arm(name)
    rng = np.random.default_rng(0)
    for round_ in range(120):
        is_page = bool(round_ % 2)
        shade = int(rng.integers(215, 255)) if is_page else int(rng.integers(20, 90))
        at = (await seeing.encode(query(picture((shade, shade, shade), size=(32, 32))))).features
        for name, good in zip(arms, (0.9, 0.3) if is_page else (0.3, 0.9), strict=True):
            policy.learn([RewardChange(name, at, 1.0, good, good**2)])
    for shade, best in ((240, 0), (60, 1)):
        context = await seeing.encode(query(picture((shade, shade, shade), size=(32, 32))))
        assert policy.probs(context, arms, np.zeros(2))[best] > 0.9


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("pixel", {}, "unknown image engine 'pixel'"),
        ("pixels", {"device": "cuda"}, "takes no device"),
        ("transformers", {}, "needs `model`"),
        ("nowhere:Engine", {}, "nowhere"),
    ],
)
def test_an_engine_that_cannot_be_is_told_with_what_can(name: str, options: dict[str, str], why: str) -> None:
    with pytest.raises(EncoderError, match=why):
        make_image_features(name, image_size, **options)
