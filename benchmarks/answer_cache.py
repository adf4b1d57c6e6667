"""What stored answers cost and how like questions are that look alike: `python -m benchmarks.answer_cache`.

Cosines of pairs that want one answer, and of pairs that want two, by the default engine's vectors; and the microseconds
that a request pays for its key and for the nearest of 5,000 stored questions, without Redis' round trip.
"""

import time
from collections.abc import Callable

import numpy as np
import pydantic_core

from highwayman.env.encoder.engine import make_engine
from highwayman.serving.completions.answer_cache.answer_key import AskedBy, answer_key
from highwayman.serving.completions.answer_cache.nearest import NearestQuestions
from highwayman.serving.completions.requests.request import parse_chat

ENTRIES = 5_000
SAME = (
    ("What is the capital of France?", "what's the capital of france"),
    ("How do I reset my password?", "I forgot my password, how can I reset it?"),
    ("How do I reset my password?", "Please tell me how to reset my password."),
    ("What are your opening hours?", "When are you open?"),
    ("Explain how photosynthesis works", "How does photosynthesis work? Explain."),
    ("Write a haiku about autumn", "Compose a haiku on autumn"),
    ("Who wrote Pride and Prejudice?", "Who is the author of Pride and Prejudice?"),
    ("How can I cancel my subscription?", "I want to cancel my subscription"),
)
OTHER = (
    ("What is the capital of France?", "What is the capital of Spain?"),
    ("How do I reset my password?", "How do I change my password policy?"),
    ("Does the dog bite the man?", "Does the man bite the dog?"),
    ("Is aspirin safe with alcohol?", "Is aspirin not safe with alcohol?"),
    ("Explain how photosynthesis works", "Explain why photosynthesis works at night"),
    ("Write a haiku about autumn", "Write a haiku about winter"),
    ("Who wrote Pride and Prejudice?", "Who filmed Pride and Prejudice?"),
    ("How can I cancel my subscription?", "How can I renew my subscription?"),
)


def main() -> None:
    """Print the cosines, then the microseconds."""
    engine = make_engine("static")
    for wanted, pairs in (("one answer", SAME), ("two answers", OTHER)):
        cosines = [float(np.prod(engine.embed(pair), axis=0).sum()) for pair in pairs]
        print(f"want {wanted}:", *(f"{cosine:.2f}" for cosine in sorted(cosines)))
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(ENTRIES, engine.width))
    questions = NearestQuestions(engine.width, entries=ENTRIES)
    for number, row in enumerate(rows / np.linalg.norm(rows, axis=1, keepdims=True)):
        questions.add(str(number), "g", row.astype(np.float16).tobytes())
    body = {"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France? " * 20}]}
    query, vector = parse_chat(pydantic_core.to_json(body)).query, rows[0]
    asked_by = AskedBy("default", "auto")
    _tell("key", lambda: answer_key(body, query, asked_by, b"s" * 32, max_temperature=0.5, longest_like=2_000))
    _tell(f"nearest of {ENTRIES}", lambda: questions.nearest("g", vector))


def _tell(what: str, work: Callable[[], object], rounds: int = 200) -> None:
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    low, median, high = np.percentile(seconds, [5, 50, 95]) * 1e6
    print(f"{what}: {median:.0f} us (5% to 95%: {low:.0f} to {high:.0f})")


if __name__ == "__main__":
    main()
