"""The engines, for real: the shipped table, MiniLM in int8, MiniLM in torch, and a vision encoder in torch."""

import base64
import json
import math
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from highwayman.env.encoder.encoder import make_encoder
from highwayman.env.encoder.engine import Engine
from highwayman.env.encoder.engines import minilm, minilm_graph, onnx_engine, transformers_engine
from highwayman.env.encoder.engines.minilm import minilm_folder, read_safetensors
from highwayman.env.encoder.engines.onnx_engine import OnnxEngine
from highwayman.env.encoder.engines.static_engine import ASSETS, StaticEngine
from highwayman.env.encoder.engines.transformers_engine import TransformersEngine
from highwayman.env.encoder.engines.vision_engine import VisionEngine
from highwayman.env.encoder.features.image_features import make_image_features
from highwayman.env.errors import EncoderError
from highwayman.env.prompt.image_size import image_size
from highwayman.env.types import Query
from tests.env.encoder.features.test_image_features import picture

TRIPLES = [  # the first two say about the same, in other words
    ("How do I sort a list in Python?", "Python code that orders an array", "Which wine goes with fish?"),
    ("What is the capital of France?", "Name the French capital city", "Differentiate x squared"),
    ("Translate this sentence to German", "How does one say this in German?", "Fix the bug in my C code"),
    ("My stomach hurts after eating", "I have pain in my belly after meals", "Write a sonnet about the sea"),
    ("Solve 3x + 5 = 20 for x", "Find x in the equation 2x - 7 = 9", "Who won the world cup in 1998?"),
]
TEXTS = [
    *(text for triple in TRIPLES for text in triple),
    "Rédige une lettre de motivation, s'il te plaît.",
    "def add(a, b):\n    return a + b\n# what does this do?",
    "A train leaves at 9:15 and arrives at 11:40. How long is the ride? " * 20,
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def engines(cache: Path) -> dict[str, Engine]:
    return {"static": StaticEngine(), "onnx": OnnxEngine(cache=cache), "transformers": TransformersEngine()}


@pytest.fixture(params=["static", "onnx", "transformers"])
def engine(request: pytest.FixtureRequest, engines: dict[str, Engine]) -> Engine:
    return engines[request.param]


@pytest.mark.parametrize("triple", TRIPLES, ids=lambda triple: triple[0])
def test_texts_alike_in_meaning_are_closer_than_others(engine: Engine, triple: tuple[str, ...]) -> None:
    one, like, unlike = engine.embed(triple)
    assert one @ like > one @ unlike + 0.1


def test_embeddings_have_length_one_and_the_width_promised(engine: Engine) -> None:
    rows = engine.embed(TEXTS)
    assert rows.shape == (len(TEXTS), engine.width)
    assert rows.dtype == np.float64
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(len(TEXTS)))


def test_a_text_has_the_same_vector_alone_and_among_others(engine: Engine) -> None:
    together = engine.embed(TEXTS)
    alone = np.concatenate([engine.embed([text]) for text in TEXTS])
    assert together == pytest.approx(alone, abs=1e-5)


def test_no_texts_give_no_rows(engine: Engine) -> None:
    assert engine.embed([]).shape == (0, engine.width)


@pytest.mark.parametrize(
    "text", ["", " ", "\x00", "\ufffd", "🦊" * 50, "ابحث عن أقرب مطعم", "x" * 2_000, "\n" * 99], ids=ascii
)
def test_odd_texts_have_finite_vectors_no_longer_than_one(engine: Engine, text: str) -> None:
    row = engine.embed([text])[0]
    assert np.isfinite(row).all()
    assert np.linalg.norm(row) < 1 + 1e-6


def test_int8_minilm_agrees_with_the_torch_one(engines: dict[str, Engine]) -> None:
    short = TEXTS[:-1]  # of a text over 128 tokens the two read different parts
    cosines = (engines["onnx"].embed(short) * engines["transformers"].embed(short)).sum(axis=1)
    assert cosines.min() > 0.98


def test_of_a_long_text_the_onnx_engine_reads_head_and_tail(engines: dict[str, Engine]) -> None:
    filler = "and then it rained again for a long while " * 40
    plain, end, middle = engines["onnx"].embed(
        [filler * 2, f"{filler}{filler}Integrate x squared from 0 to 1.", f"{filler}Integrate x squared.{filler}"]
    )
    assert plain @ middle > 0.999
    assert plain @ end < 0.97


def test_onnx_and_transformers_give_a_policy_nearly_the_same_text_features(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_engine, "default_cache", lambda: cache)
    query = Query(TEXTS[0], len(TEXTS[0]))
    one, other = (make_encoder(name).encode_blocking(query).features[:32] for name in ("onnx", "transformers"))
    assert one @ other / math.sqrt((one @ one) * (other @ other)) > 0.95


def test_the_static_table_ranks_pairs_much_as_minilm_does(engines: dict[str, Engine]) -> None:
    pairs = np.triu_indices(len(TEXTS), 1)
    likeness = []
    for name in ("static", "transformers"):
        rows = engines[name].embed(TEXTS)
        likeness.append((rows @ rows.T)[pairs])
    ranks = np.argsort(np.argsort(likeness, axis=1), axis=1)
    assert np.corrcoef(ranks[0], ranks[1])[0, 1] > 0.4


def test_all_static_assets_together_stay_below_eight_megabytes() -> None:
    assert sum(path.stat().st_size for path in ASSETS.glob("static_*")) <= 8_000_000


def test_a_static_table_whose_parts_do_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="make_static_table"):
        StaticEngine(tmp_path)
    np.save(tmp_path / "static_table.npy", np.zeros((2, 4), np.int8))
    np.save(tmp_path / "static_scales.npy", np.zeros(2, np.float32))
    (tmp_path / "static_vocab.txt").write_text("[UNK]\na\nb")
    with pytest.raises(EncoderError, match="3 word pieces"):
        StaticEngine(tmp_path)
    np.save(tmp_path / "static_scales.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(EncoderError, match="allow_pickle"):
        StaticEngine(tmp_path)


def test_the_graph_is_built_once_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = OnnxEngine(cache=tmp_path)
    (made,) = tmp_path.iterdir()  # no draft is left beside it
    monkeypatch.setattr(onnx_engine, "write_graph", None)  # a second build would fail
    assert OnnxEngine(cache=tmp_path).fingerprint == first.fingerprint
    made.write_bytes(made.read_bytes()[:1_000])
    with pytest.raises(EncoderError, match="delete it"):
        OnnxEngine(cache=tmp_path)


def test_a_cache_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EncoderError, match="XDG_CACHE_HOME"):
        OnnxEngine(cache=tmp_path / "file")


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert onnx_engine.default_cache() == Path("/somewhere/highwayman")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert onnx_engine.default_cache() == Path.home() / ".cache" / "highwayman"


def test_quantised_columns_are_off_by_at_most_half_a_step() -> None:
    weight = np.random.default_rng(0).standard_normal((50, 7)).astype(np.float32)
    columns, scale = minilm_graph.quantised(weight)
    assert (np.abs(columns * scale - weight) <= scale * 0.5001).all()


def test_weights_are_read_as_the_network_library_reads_them(engines: dict[str, Engine]) -> None:
    from transformers import AutoModel  # noqa: PLC0415  (slow to load: not by every worker that collects)

    theirs = AutoModel.from_pretrained(str(minilm_folder())).state_dict()
    ours = read_safetensors(minilm_folder() / "model.safetensors")
    for name in ("embeddings.word_embeddings.weight", "encoder.layer.5.output.dense.bias"):
        assert np.array_equal(ours[name], theirs[name].numpy())


@pytest.mark.parametrize("content", [b"", b"\xff" * 20, b"\x02\0\0\0\0\0\0\0{}"])
def test_damaged_weights_are_an_encoder_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(EncoderError, match="w is not"):
        minilm_graph.write_graph(tmp_path / "w", tmp_path / "out.onnx")


def absent(name: str, *_: object) -> None:
    raise ImportError(f"No module named {name!r}")


@pytest.mark.parametrize(
    ("module", "function", "make", "extra"),
    [
        (onnx_engine, "import_module", OnnxEngine, r"highwayman\[onnx\]"),
        (transformers_engine, "import_module", TransformersEngine, r"highwayman\[torch\]"),
        (minilm, "find_spec", TransformersEngine, r"highwayman\[torch\]"),
    ],
)
def test_a_missing_library_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch, module: object, function: str, make: type[Engine], extra: str
) -> None:
    monkeypatch.setattr(module, function, absent if function == "import_module" else lambda name: None)
    with pytest.raises(EncoderError, match=f"pip install.*{extra}"):
        make()


def test_a_model_that_cannot_be_loaded_and_an_unknown_dtype_say_so(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="cannot load"):
        TransformersEngine(str(tmp_path))
    with pytest.raises(ValueError, match="bfloat16"):
        TransformersEngine(dtype="bf16")


def test_bfloat16_stays_close_to_float32(engines: dict[str, Engine]) -> None:
    rough = TransformersEngine(dtype="bfloat16")
    assert (rough.embed(TEXTS[:4]) * engines["transformers"].embed(TEXTS[:4])).sum(axis=1).min() > 0.99
    assert rough.fingerprint != engines["transformers"].fingerprint


def test_another_model_by_its_folder_gets_a_random_projection() -> None:
    encoder = make_encoder("transformers", model=str(minilm_folder()))
    assert "/gauss0-32-" in encoder.fingerprint


SMALL_VISION: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "image_size": 16,
    "patch_size": 8,
}


@pytest.fixture(scope="module")
def vision_folder(tmp_path_factory: pytest.TempPathFactory, engines: dict[str, Engine]) -> Path:
    """A small vision transformer that nobody has trained; `engines` has loaded what it needs."""
    torch, transformers = import_module("torch"), import_module("transformers")
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vision")
    transformers.ViTModel(transformers.ViTConfig(**SMALL_VISION)).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.4] * 3, "image_std": [0.2] * 3}))
    return folder


def test_a_vision_encoder_in_a_folder_looks_at_images_and_says_which_one_it_is(vision_folder: Path) -> None:
    engine, again = VisionEngine(str(vision_folder)), VisionEngine(str(vision_folder))
    red, blue = (engine.embed(base64.b64decode(picture(colour))) for colour in ((220, 20, 20), (20, 20, 220)))
    assert red is not None
    assert blue is not None
    assert red.shape == (16,) == (engine.width,)
    assert np.linalg.norm(red) == pytest.approx(1.0, abs=1e-5)
    assert np.linalg.norm(red - blue) > 1e-3
    assert engine.fingerprint == again.fingerprint
    assert engine.embed(b"no image") is None
    features = make_image_features("transformers", image_size, model=str(vision_folder))
    assert features.look([picture()]).row.shape == (12,)


def test_an_image_is_normalised_as_its_encoders_folder_says(vision_folder: Path, tmp_path: Path) -> None:
    for file in vision_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "preprocessor_config.json").unlink()
    data = base64.b64decode(picture())
    said, unsaid = VisionEngine(str(vision_folder)).embed(data), VisionEngine(str(tmp_path)).embed(data)
    assert said is not None
    assert unsaid is not None
    assert np.linalg.norm(said - unsaid) > 1e-6
    (tmp_path / "preprocessor_config.json").write_text('{"image_mean": "grey"}')
    with pytest.raises(EncoderError, match="preprocessor_config"):
        VisionEngine(str(tmp_path))


def test_a_vision_encoder_that_is_not_there_or_sees_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="cannot load"):
        VisionEngine(str(tmp_path))
    with pytest.raises(EncoderError, match="image_size"):
        VisionEngine(str(minilm_folder()))
