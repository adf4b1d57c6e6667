"""Times the encoder's engines: python -m benchmarks.encoder [static onnx transformers] [--rounds 200]

Prints microseconds per prompt of 16, 64 and 128 tokens, one prompt at a time: `embed` is the engine alone, `encode` the
whole way from a query to its context, never from the cache of texts. The prompts are English words, drawn as often as
they are common (the n-th in proportion to 1 / (n + 2.7), Mandelbrot 1953); of the static engine also letters that make
a new word each time (`unseen`), code, and Russian. PYTHONPATH=OTHER/src compares with another revision.
"""

import argparse
import asyncio
import time
from collections.abc import Callable

import numpy as np

from highwayman.env.encoder.encoder import Encoder, make_encoder
from highwayman.env.encoder.engine import make_engine
from highwayman.env.encoder.engines.static_engine import ASSETS
from highwayman.env.types import Query

TOKENS = (16, 64, 128)
WARM_UP = 50  # prompts
KINDS = ("common", "unseen", "code", "cyrillic")
CODE = ("def f(x):", "return x[0]", "if (a == b) {", "x += 1;", "y = g(x, 3)", "// why?", "import os", "a->b", "c::d")
CYRILLIC = ("столица", "франции", "как", "называется", "большой", "город", "на", "реке", "и", "почему", "его", "любят")
VOCABULARY = (ASSETS / "static_vocab.txt").read_text(encoding="utf-8").split("\n")
WORDS = [piece for piece in VOCABULARY[999:] if piece.isascii() and piece.isalpha()]  # the more common ones come first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", default=["static", "onnx", "transformers"])
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    print(f"{'engine':<13}{'prompts':<9}{'tokens':>7}{'embed us':>10}{'p95':>8}{'CPU':>8}", end="")
    print(f"{'encode us':>11}{'p95':>8}{'CPU':>8}")
    for name in options.engines:
        for kind, tokens in [(KINDS[0], tokens) for tokens in TOKENS] + [(kind, 64) for kind in KINDS[1:]]:
            if kind == KINDS[0] or name == "static":
                row = measured(name, prompts(kind, tokens, options.rounds + WARM_UP))
                print(f"{name:<13}{kind:<9}{tokens:>7}{row[0]:>10.0f}{row[1]:>8.0f}{row[2]:>8.0f}", end="")
                print(f"{row[3]:>11.0f}{row[4]:>8.0f}{row[5]:>8.0f}")


def prompts(kind: str, tokens: int, n: int) -> list[str]:
    """Return n prompts of about `tokens` tokens, two of which are marks."""
    rng = np.random.default_rng(tokens)
    shares = 1 / (np.arange(len(WORDS)) + 2.7)
    if kind == "common":
        return [" ".join(rng.choice(WORDS, tokens - 2, p=shares / shares.sum())) for _ in range(n)]
    if kind == "code":
        return ["\n".join(rng.choice(CODE, tokens // 5)) for _ in range(n)]
    if kind == "cyrillic":
        return [" ".join(rng.choice(CYRILLIC, tokens // 5)) for _ in range(n)]
    letters = list("etaoinshrdlucm")
    return [" ".join("".join(rng.choice(letters, 6)) for _ in range(tokens // 3)) for _ in range(n)]


def measured(name: str, texts: list[str]) -> list[float]:
    """Return median, p95 and CPU of `embed`, then of `encode`, in microseconds."""
    engine = make_engine(name)
    for text in texts[:WARM_UP]:
        engine.embed([text])
    alone = timed([lambda text=text: engine.embed([text]) for text in texts[WARM_UP:]])  # type: ignore[misc]
    return [*alone, *asyncio.run(encoded(make_encoder(name, deadline_s=60), texts))]


def timed(calls: list[Callable[[], object]]) -> list[float]:
    """Return the median and the 95th percentile of the calls' wall times and their mean CPU time, in microseconds."""
    walls, cpu = [], time.process_time()
    for call in calls:
        started = time.perf_counter()
        call()
        walls.append(time.perf_counter() - started)
    return summary(walls, time.process_time() - cpu)


async def encoded(encoder: Encoder, texts: list[str]) -> list[float]:
    """Return what `timed` does, of encoding each text but those of the warm-up."""
    walls, cpu = [], 0.0
    for place, text in enumerate(texts):
        if place == WARM_UP:
            cpu = time.process_time()
        started = time.perf_counter()
        await encoder.encode(Query(text, len(text)))
        walls.append(time.perf_counter() - started)
    cpu = time.process_time() - cpu
    assert encoder.stats.hits == encoder.stats.timeouts == encoder.stats.errors == 0
    encoder.close()
    return summary(walls[WARM_UP:], cpu)


def summary(walls_s: list[float], cpu_s: float) -> list[float]:
    """Return the median, the 95th percentile and the mean CPU time in microseconds."""
    return [*(float(value) * 1e6 for value in np.quantile(walls_s, [0.5, 0.95])), cpu_s / len(walls_s) * 1e6]


if __name__ == "__main__":
    main()
