"""How fast an engine answers, by its own metrics: tokens per second of one request, on average since it started."""

import re

# llama.cpp's server, tools/server/README.md: counters, so that nobody else who reads them changes what is read here
# (`llamacpp:predicted_tokens_seconds` begins anew whenever somebody has read it).
_LLAMA_CPP = ("llamacpp:tokens_predicted_total", "llamacpp:tokens_predicted_seconds_total")
# vLLM, docs/usage/metrics.md: a histogram of the seconds between two tokens of a request; the second is its older name.
_VLLM = ("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds")


def tokens_per_second(metrics: str) -> float | None:
    """From a page in Prometheus' format; None where nothing was generated yet, or the page is of another program."""
    found = _ratio(_total(metrics, _LLAMA_CPP[0]), _total(metrics, _LLAMA_CPP[1]))
    for name in _VLLM:
        found = found or _ratio(_total(metrics, f"{name}_count"), _total(metrics, f"{name}_sum"))
    return found


def _total(metrics: str, name: str) -> float:
    """Over all labels."""
    rows = re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? ([0-9.eE+-]+)$", metrics, re.MULTILINE)
    return sum(float(each) for each in rows)


def _ratio(tokens: float, seconds: float) -> float | None:
    return tokens / seconds if tokens > 0 and seconds > 0 else None
