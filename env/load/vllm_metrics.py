"""What a vLLM server says of its own load, out of the text of its `/metrics`."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from highwayman.env.load.prometheus_text import parse_samples

_RUNNING: Final = "vllm:num_requests_running"
_WAITING: Final = "vllm:num_requests_waiting"
_KV_CACHE: Final = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")  # newer servers' name, older ones'
_TTFT_SUM: Final = "vllm:time_to_first_token_seconds_sum"
_TTFT_COUNT: Final = "vllm:time_to_first_token_seconds_count"
_NAMES: Final = (_RUNNING, _WAITING, *_KV_CACHE, _TTFT_SUM, _TTFT_COUNT)
_MOST_REQUESTS: Final = 1e6  # no server has as many; a number beyond is nonsense
_MOST_TOTAL: Final = 1e15


@dataclass(frozen=True, slots=True)
class EngineReading:
    """What one server said of itself, summed over its engines."""

    waiting: float  # requests that are not being worked on yet
    running: float  # requests in the batch
    kv_cache_usage: float | None = None  # share of its cache that is taken, the engines' mean
    first_token_s: float = 0.0  # seconds to the first token, summed over the requests since it started
    first_tokens: float = 0.0  # of how many requests


def parse_engine_metrics(text: bytes) -> EngineReading | None:
    """Return what a server's `/metrics` says, None where it does not say how many requests wait and run.

    A number that cannot be (NaN, infinite, negative, beyond reason) counts as none. Time is linear in the bytes.
    """
    try:
        samples = parse_samples(text, _NAMES)
    except ValueError:
        return None
    waiting, running = _sum(samples[_WAITING], _MOST_REQUESTS), _sum(samples[_RUNNING], _MOST_REQUESTS)
    if waiting is None or running is None:
        return None
    first_token_s, first_tokens = _sum(samples[_TTFT_SUM], _MOST_TOTAL), _sum(samples[_TTFT_COUNT], _MOST_TOTAL)
    if first_token_s is None or first_tokens is None:
        first_token_s = first_tokens = 0.0
    usages = next((samples[name] for name in _KV_CACHE if samples[name]), [])
    usage = _sum(usages, float(len(usages)))
    return EngineReading(waiting, running, None if usage is None else usage / len(usages), first_token_s, first_tokens)


def _sum(numbers: Iterable[float], most: float) -> float | None:
    """Return the sum, None where there is nothing or one of the numbers cannot be."""
    numbers = list(numbers)
    possible = all(math.isfinite(number) and number >= 0 for number in numbers)
    total = math.fsum(numbers) if numbers and possible else math.inf
    return total if total <= most else None
