"""The encoder around its engine: features, batches, cache, deadline. The engines are in test_encoder_engines.py."""

import asyncio
import logging
import threading
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.encoder.encoder import BACKLOG_LIMIT, Encoder, EncoderStats, make_encoder
from highwayman.env.encoder.engines.onnx_engine import OnnxEngine
from highwayman.env.encoder.engines.static_engine import StaticEngine
from highwayman.env.encoder.engines.transformers_engine import TransformersEngine
from highwayman.env.encoder.features.features import NUMERIC_NAMES
from highwayman.env.encoder.features.projection import Projection
from highwayman.env.errors import EncoderError
from highwayman.env.types import Context, Floats, Query


class GatedEngine:
    """Embeds a text as its length and a one, once its gate is open; remembers the batches it was given."""

    fingerprint = "gated"
    width = 2

    def __init__(self, *, model: str = "") -> None:
        self.model = model
        self.gate, self.entered = threading.Event(), threading.Event()
        self.gate.set()
        self.batches: list[list[str]] = []

    def embed(self, texts: Sequence[str]) -> Floats:
        self.batches.append(list(texts))
        self.entered.set()
        assert self.gate.wait(10)
        if "break" in texts:
            raise RuntimeError(f"cannot embed {texts}")
        return np.array([[len(text), 1.0] for text in texts])


@pytest.fixture
def engine() -> Iterator[GatedEngine]:
    engine = GatedEngine()
    yield engine
    engine.gate.set()


@pytest.fixture(scope="module")
def static() -> Iterator[Encoder]:
    encoder = make_encoder("static")
    yield encoder
    encoder.close()


def around(engine: GatedEngine, **options: float) -> Encoder:
    return Encoder(engine, Projection.from_arrays(np.zeros(2), np.eye(2), name="same"), **{"deadline_s": 10, **options})  # type: ignore[arg-type]


def query(text: str) -> Query:
    return Query(text, len(text))


async def held_batch(encoder: Encoder, engine: GatedEngine) -> "asyncio.Task[Context]":
    """Start a call and return it when the engine holds it at the closed gate."""
    engine.gate.clear()
    engine.entered.clear()
    first = asyncio.create_task(encoder.encode(query("first")))
    await asyncio.to_thread(engine.entered.wait, 10)
    return first


async def started(*calls: "asyncio.Task[Context]") -> None:
    """Let tasks run up to their first wait."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def test_features_are_text_numbers_clusters_and_one_and_each_has_a_name(static: Encoder) -> None:
    context = static.encode_blocking(query("What is the capital of France?"))
    assert context.features.shape == (static.d,) == (len(static.names),)
    assert static.names[16:] == (*NUMERIC_NAMES, *(f"near_{kind:02d}" for kind in range(30)), "one")
    assert static.d <= 64
    assert context.features[-1] == 1.0
    assert context.fingerprint == static.fingerprint
    assert not context.flags


@given(st.text(st.characters(exclude_categories=()), max_size=200))
def test_any_text_gives_finite_features_that_float32_holds_exactly(static: Encoder, text: str) -> None:
    features = static.encode_blocking(query(text)).features
    assert features.dtype == np.float64
    assert np.isfinite(features).all()
    assert np.array_equal(features, features.astype(np.float32))
    assert features[-1] == 1.0


async def test_online_and_offline_features_are_the_same(static: Encoder) -> None:
    texts = [f"What is {n} plus {n}?" for n in range(40)]
    online = await asyncio.gather(*(static.encode(query(text)) for text in texts))
    offline = make_encoder("static").encode_many([query(text) for text in texts])
    for one, other in zip(online, offline, strict=True):
        assert np.array_equal(one.features, other.features)


async def test_a_text_of_lone_surrogates_and_a_megabyte_of_text_are_encoded(static: Encoder) -> None:
    for text in ("\ud800\udfff\udc00", "x" * 1_000_000, "\x00", ""):
        assert not (await static.encode(query(text))).flags


async def test_calls_that_come_while_a_batch_runs_form_the_next_one(engine: GatedEngine) -> None:
    encoder = around(engine)
    first = await held_batch(encoder, engine)
    rest = [asyncio.create_task(encoder.encode(query(text))) for text in ("aa", "bbb", "aa", "cccc")]
    await started(*rest)
    engine.gate.set()
    contexts = [await first, *await asyncio.gather(*rest)]
    assert engine.batches == [["first"], ["aa", "bbb", "cccc"]]
    assert [context.features[0] for context in contexts] == [5, 2, 3, 2, 4]
    assert encoder.stats == EncoderStats(hits=0, misses=5, timeouts=0, errors=0, batches=2)


async def test_a_repeat_is_served_without_the_engine_until_it_is_the_oldest(engine: GatedEngine) -> None:
    encoder = around(engine, cache_size=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        await encoder.encode(query(text))
    assert engine.batches == [["a"], ["b"], ["c"], ["b"]]
    assert encoder.stats.hits == 2


async def test_a_late_text_part_is_zeros_with_a_flag_and_the_rest_is_as_ever(engine: GatedEngine) -> None:
    encoder = around(engine, deadline_s=0.01)
    late = await (await held_batch(encoder, engine))
    assert late.flags == {"encoder_timeout"}
    assert late.features[:2].tolist() == [0, 0]
    assert late.features[-1] == 1.0
    engine.gate.set()
    in_time = encoder.encode_blocking(query("first"))
    assert np.array_equal(late.features[2:], in_time.features[2:])
    assert encoder.stats.timeouts == 1


async def test_a_call_that_nobody_waits_for_any_more_is_never_embedded(engine: GatedEngine) -> None:
    encoder = around(engine)
    first = await held_batch(encoder, engine)
    gone, stays = (asyncio.create_task(encoder.encode(query(text))) for text in ("gone", "stays"))
    await started(gone, stays)
    gone.cancel()
    await started()
    engine.gate.set()
    assert (await stays).features[0] == 5
    assert (await first).features[0] == 5
    assert gone.cancelled()
    assert engine.batches == [["first"], ["stays"]]


async def test_cancelling_one_waiter_of_a_running_batch_leaves_the_others(engine: GatedEngine) -> None:
    encoder = around(engine)
    first = await held_batch(encoder, engine)
    pair = [asyncio.create_task(encoder.encode(query("pair"))) for _ in range(2)]
    await started(*pair)
    first.cancel()
    pair[0].cancel()
    engine.gate.set()
    assert (await pair[1]).features[0] == 4


async def test_an_engine_that_raises_costs_the_text_part_only_and_the_log_never_quotes_the_prompt(
    engine: GatedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = around(engine)
    with caplog.at_level(logging.WARNING):
        context = await encoder.encode(query("break"))
    assert context.flags == {"encoder_error"}
    assert context.features[:2].tolist() == [0, 0]
    assert "RuntimeError" in caplog.text
    assert "break" not in caplog.text
    assert not (await encoder.encode(query("fine"))).flags
    assert encoder.stats.errors == 1


async def test_numbers_that_are_none_are_an_engine_error(engine: GatedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "embed", lambda texts: np.full((len(texts), 2), np.nan))
    assert (await around(engine).encode(query("a"))).flags == {"encoder_error"}


class InlineEngine(GatedEngine):
    """Wants no thread; remembers in which one it was called."""

    fingerprint = "inline"
    inline = True

    def embed(self, texts: Sequence[str]) -> Floats:
        self.thread = threading.current_thread()
        return super().embed(texts)


async def test_a_quick_engine_is_called_where_it_stands_and_a_failure_of_it_costs_the_text_part_only() -> None:
    engine = InlineEngine()
    encoder = around(engine)
    call = encoder.encode(query("text"))
    with pytest.raises(StopIteration) as returned:
        call.send(None)  # it returns without waiting for anything
    assert returned.value.value.features[0] == 4
    assert engine.thread is threading.current_thread()
    assert (await encoder.encode(query("text"))).features[0] == 4
    assert (await encoder.encode(query("break"))).flags == {"encoder_error"}
    assert encoder.stats == EncoderStats(hits=1, misses=2, timeouts=0, errors=1, batches=0)


@pytest.mark.parametrize(("name", "quick"), [("static", True), ("onnx", False), ("transformers", False)])
def test_of_the_engines_only_the_table_is_called_in_the_loop(name: str, quick: bool) -> None:
    engine = {"static": StaticEngine, "onnx": OnnxEngine, "transformers": TransformersEngine}[name]
    assert getattr(engine, "inline", False) is quick


async def test_an_engine_that_times_out_by_itself_has_failed_and_is_not_late(
    engine: GatedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(texts: Sequence[str]) -> Floats:
        raise TimeoutError(f"no server for {texts}")

    monkeypatch.setattr(engine, "embed", slow)
    assert (await around(engine).encode(query("a"))).flags == {"encoder_error"}


async def test_more_calls_than_may_wait_are_answered_at_once_without_the_text(engine: GatedEngine) -> None:
    encoder = around(engine)
    first = await held_batch(encoder, engine)
    waiting = [asyncio.create_task(encoder.encode(query(f"waits {k}"))) for k in range(BACKLOG_LIMIT)]
    await started(*waiting)
    assert (await encoder.encode(query("one too many"))).flags == {"encoder_timeout"}
    engine.gate.set()
    contexts = await asyncio.gather(first, *waiting)
    assert not any(context.flags for context in contexts)


async def test_closing_answers_whoever_waits(engine: GatedEngine) -> None:
    encoder = around(engine)
    first = await held_batch(encoder, engine)
    waiting = asyncio.create_task(encoder.encode(query("waiting")))
    await started(waiting)
    closing = asyncio.create_task(asyncio.to_thread(encoder.close))
    assert (await waiting).flags == {"encoder_error"}
    engine.gate.set()
    assert not (await first).flags
    await closing
    assert (await encoder.encode(query("after"))).flags == {"encoder_error"}


def test_an_engine_is_found_by_its_import_path_with_a_projection_of_its_width() -> None:
    encoder = make_encoder(f"{__name__}:GatedEngine", model="mine")
    assert encoder.fingerprint.startswith("gated/gauss0-32-")
    assert encoder.d == 32 + len(NUMERIC_NAMES) + 1


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("statik", {}, "static, onnx, transformers or module:Class"),
        ("no_such_module:Engine", {}, "no_such_module"),
        ("static", {"model": "x"}, "only transformers"),
    ],
)
def test_an_encoder_that_cannot_be_made_says_why(name: str, options: dict[str, str], says: str) -> None:
    with pytest.raises(EncoderError, match=says):
        make_encoder(name, **options)  # type: ignore[arg-type]


def test_a_projection_of_another_width_and_options_out_of_range_are_refused(engine: GatedEngine) -> None:
    with pytest.raises(EncoderError, match="3 dimensions"):
        Encoder(engine, Projection.gaussian(3, p=2))
    with pytest.raises(ValueError, match="deadline_s"):
        around(engine, deadline_s=0)
