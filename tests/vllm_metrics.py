"""The text of a vLLM server's `/metrics` (0.32): the numbers a test wants, and a few others among them."""

from typing import Any


def vllm_metrics(
    *, running: Any = 0.0, waiting: Any = 0.0, kv: Any = 0.0, first_token_s: Any = 0.0, first_tokens: Any = 0.0,
    engine: int = 0, kv_name: str = "kv_cache_usage_perc",
) -> str:  # fmt: skip
    """Return what one engine says; of several, one behind the other."""
    labels = f'engine="{engine}",model_name="meta-llama/Llama-3.1-8B-Instruct"'
    return f"""\
# HELP python_gc_objects_collected_total Objects collected during gc
# TYPE python_gc_objects_collected_total counter
python_gc_objects_collected_total{{generation="0"}} 10312.0
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{{labels}}} {running}
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{{{labels}}} {waiting}
# HELP vllm:num_requests_waiting_by_reason Number of waiting requests by reason.
# TYPE vllm:num_requests_waiting_by_reason gauge
vllm:num_requests_waiting_by_reason{{{labels},reason="capacity"}} {waiting}
vllm:num_requests_waiting_by_reason{{{labels},reason="deferred"}} 0.0
# HELP vllm:{kv_name} KV-cache usage. 1 means 100 percent usage.
# TYPE vllm:{kv_name} gauge
vllm:{kv_name}{{{labels}}} {kv}
# HELP vllm:time_to_first_token_seconds Histogram of time to first token in seconds.
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{{engine="0",le="0.001",model_name="m"}} 0.0
vllm:time_to_first_token_seconds_bucket{{engine="0",le="+Inf",model_name="m"}} {first_tokens}
vllm:time_to_first_token_seconds_count{{{labels}}} {first_tokens}
vllm:time_to_first_token_seconds_sum{{{labels}}} {first_token_s}
# HELP vllm:lora_requests_info Running stats on lora requests.
# TYPE vllm:lora_requests_info gauge
vllm:lora_requests_info{{max_lora="1",running_lora_adapters="noise",waiting_lora_adapters=""}} 1.764e+09
"""
