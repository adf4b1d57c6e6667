"""Times the encoder's engines: python -m benchmarks.encoder [static onnx transformers] [--rounds 200]

Prints milliseconds per prompt of 16, 64 and 128 tokens, one prompt at a time: `embed` is the engine alone (with its CPU
time), `encode` the whole way from a query to its context with the thread hop, the projection and the numeric features,
never from the cache.
"""

import argparse
import asyncio
import time
from collections.abc import Callable

import numpy as np

from highwayman.env.encoder.encoder import Encoder, make_encoder, make_engine
from highwayman.env.types import Query

WORDS = (
    "the",
    "model",
    "must",
    "answer",
    "a",
    "question",
    "about",
    "this",
    "long",
    "road",
    "to",
    "many",
    "old",
    "people",
)
TOKENS = (16, 64, 128)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", default=["static", "onnx", "transformers"])
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    print(f"{'engine':<13}{'tokens':>7}{'embed ms':>10}{'p95':>8}{'CPU ms':>8}{'encode ms':>11}{'p95':>8}")
    for name in options.engines:
        for tokens in TOKENS:
            row = measured(name, tokens, options.rounds)
            print(f"{name:<13}{tokens:>7}{row[0]:>10.2f}{row[1]:>8.2f}{row[2]:>8.2f}{row[3]:>11.2f}{row[4]:>8.2f}")


def measured(name: str, tokens: int, rounds: int) -> list[float]:
    """Return median, p95 and CPU of `embed`, then median and p95 of `encode`, in milliseconds."""
    engine = make_engine(name)
    rng = np.random.default_rng(tokens)
    texts = [" ".join(rng.choice(WORDS, tokens - 2)) for _ in range(rounds + 5)]  # two tokens are marks
    for text in texts[:5]:
        engine.embed([text])
    alone, cpu = timed([lambda text=text: engine.embed([text]) for text in texts[5:]])  # type: ignore[misc]
    whole = asyncio.run(encoded(make_encoder(name, deadline_s=60), texts))
    return [*quantiles(alone), cpu / rounds * 1e3, *quantiles(whole)]


def timed(calls: list[Callable[[], object]]) -> tuple[list[float], float]:
    """Return the wall time of each call and the CPU time of all, in seconds."""
    walls, cpu = [], time.process_time()
    for call in calls:
        started = time.perf_counter()
        call()
        walls.append(time.perf_counter() - started)
    return walls, time.process_time() - cpu


async def encoded(encoder: Encoder, texts: list[str]) -> list[float]:
    """Return the wall time of encoding each text but the first five, in seconds."""
    walls = []
    for text in texts:
        started = time.perf_counter()
        await encoder.encode(Query(text, len(text)))
        walls.append(time.perf_counter() - started)
    assert encoder.stats.hits == encoder.stats.timeouts == encoder.stats.errors == 0
    encoder.close()
    return walls[5:]


def quantiles(seconds: list[float]) -> list[float]:
    """Return the median and the 95th percentile in milliseconds."""
    return [float(value) * 1e3 for value in np.quantile(seconds, [0.5, 0.95])]


if __name__ == "__main__":
    main()
