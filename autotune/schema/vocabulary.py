"""The closed sets of a record's texts, and its measures' names as vLLM's benchmarks have them."""

# What measured a run: this project, or another whose name its importer gives.
OWN_SOURCE = "autotune"
ENGINES = ("vllm", "hf", "trtllm", "sglang", "tgi")
# A closed batch hands all prompts over at once, a stream keeps so many in flight in the engine's
# own process, serving does so through its HTTP server.
MODES = ("closed_batch", "stream", "serving")
STATUSES = ("completed", "out_of_memory", "timed_out", "crashed", "load_failed")
PURPOSES = ("baseline", "search", "confirm")

THROUGHPUT_FIELDS = ("output_throughput", "total_throughput", "request_throughput")
LATENCY_FIELDS = tuple(
    f"{stat}_{metric}_ms"
    for metric in ("ttft", "tpot", "itl", "e2el")
    for stat in ("mean", "median", "p99")
)
# Whole numbers among the measures.
COUNT_FIELDS = ("repeats", "kv_cache_tokens")
METRIC_FIELDS = (
    *THROUGHPUT_FIELDS,
    *LATENCY_FIELDS,
    "request_goodput",
    "repeats",
    "throughput_ci95",
    "energy_j_per_token",
    "mean_power_w",
    "peak_memory_gb",
    "kv_cache_tokens",
    "engine_start_s",
    "measure_s",
)
# Measures for which 0 is a real reading; every other measure must be above zero.
MAY_BE_ZERO = frozenset(
    {
        "throughput_ci95",
        "mean_itl_ms",
        "median_itl_ms",
        "p99_itl_ms",
        "request_goodput",
        "kv_cache_tokens",
    }
)
