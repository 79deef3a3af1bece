"""How long a round of sequences takes, from the arithmetic of a transformer and a spec sheet.

A round is ``in_flight`` sequences that are prefilled and then generate ``output_len`` tokens; the
same sums hold for the steady state of continuous batching, a token at a time. Each term is the
textbook one (Williams et al., "Roofline", CACM 2009; Kipply, "Transformer inference arithmetic"):

- weights: bytes touched a step / bandwidth. A mixture of E experts, k a token, touches
  ``E * (1 - (1 - k/E)**tokens)`` of them.
- KV reads: sequences x mean context x KV bytes a token / bandwidth. Before 0.6 vLLM's own attention
  kernel served GPUs without FlashAttention-2 (which wants Ampere or newer); a thread block of it
  reads the cache for one query head (vLLM, "Paged Attention" design document), so heads that share
  a KV head read it again.
- prefill: 2 FLOPs a parameter a token plus causal attention, / FLOP rate.
- communication: two all-reduces a layer, each 2 (n-1)/n of the activations (ring) plus latency.
- overhead: of a step, a layer, a sequence, a request and a round. Of a layer more in decode steps
  of more sequences than CUDA graphs were captured for, whose kernels the host launches one by one,
  several times as many for a mixture: from 512 to 1,024 sequences a layer's step took 0.1-0.5 ms
  longer in dense models and 0.8-2.0 ms in Qwen3-30B-A3B, the GPU idle up to 40 % of the time
  (`mlruns/reference/h100-vllm-*`, `h200-vllm-*`, those whose KV cache holds 1,024).

A closed batch of more sequences than run at once (for the KV cache's room, or the engine's cap)
goes in waves of equal length, the last of which may be small.

vLLM-like engines split every layer over the GPUs (tensor parallel). Hugging Face's ``device_map``
puts whole layers on each GPU: one works at a time, hands the activations on from Python, and what
does not fit is read over PCIe in every step, of a mixture the experts that are touched.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.features.placement import outside_bytes
from recommender.features.table import Array, ConfigurationTable

BOTTLENECKS = ("weights", "kv_reads", "prefill", "communication", "overhead")
CONSTANTS: Mapping[str, float] = {
    "weight_efficiency": 0.80,
    "kv_efficiency": 0.70,
    "decode_efficiency": 0.60,
    "prefill_efficiency": 0.55,
    "link_efficiency": 0.50,
    "rereads": 1.0,  # of the KV heads that query heads share; a cache may absorb some
    # what software gets out of AMD's spec sheet relative to NVIDIA's, after matrix products: 620 of
    # 1307 TFLOP/s on MI300X, 720 of 989 on H100 (SemiAnalysis, "MI300X vs H100 vs H200", December
    # 2024); other vendors are taken to be alike
    "amd_efficiency": 0.65,
    "other_vendor_efficiency": 0.65,
    "link_latency_s": 1e-5,
    "hop_s": 1e-3,  # a hand-over between two shards of a Hugging Face pipeline
    "layer_s": 1e-5,
    "uncaptured_layer_s": 2e-4,
    "step_s": 1e-3,
    "sequence_s": 5e-6,
    "request_s": 2e-4,
    "round_s": 1e-2,
    "pcie_bytes_s": 1e10,
}
CONSTANT_NAMES = tuple(CONSTANTS)
IDEAL: Mapping[str, float] = {
    **{name: 1.0 if "efficiency" in name else 1e-12 for name in CONSTANTS},
    "pcie_bytes_s": 1e15,
}
_ACTIVATION_BYTES = 2.0
_MIXTURE_LAUNCHES = 4.0  # of a mixture's layer to a dense one's
_AMPERE_YEAR = 2020


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """Times of ``n`` configurations, each of shape (n,).

    Attributes:
        shares_s: Seconds of all rounds by cause, in the order of BOTTLENECKS, shape (n, 5).
        in_flight: Sequences that run at once (memory and the engine's cap considered).
        ttft_s, tpot_s: Mean time to the first token, waiting included, and a token after it.
        throughput: Generated tokens/s.
    """

    shares_s: Array
    in_flight: Array
    ttft_s: Array
    tpot_s: Array
    throughput: Array

    @property
    def bottleneck(self) -> NDArray[np.int64]:
        """Index into BOTTLENECKS of the largest share, shape (n,)."""
        largest: NDArray[np.int64] = np.argmax(self.shares_s, axis=1)
        return largest


def roofline(inputs: ConfigurationTable, constants: Mapping[str, Array | float]) -> Roofline:
    """Return the times of every configuration; constants are scalars or columns of shape (n,)."""
    in_flight = np.minimum(
        inputs["in_flight"], np.where(inputs.is_engine("hf"), np.inf, inputs["max_sequences"])
    )
    whole = _round(inputs, constants, in_flight)
    is_closed = inputs["is_serving"] == 0
    waves = np.where(is_closed, np.maximum(inputs["batch_size"] // in_flight, 1.0), 1.0)
    left = np.where(is_closed, (inputs["batch_size"] - waves * in_flight).clip(min=0.0), 0.0)
    last = _round(inputs, constants, np.maximum(left, 1.0))
    is_left = (left > 0).astype(np.float64)
    shares = waves[:, None] * whole.shares_s + is_left[:, None] * last.shares_s
    sequences = waves * in_flight + left
    round_s = whole.shares_s.sum(axis=1)
    waited = in_flight * round_s * waves * (waves - 1) / 2 + left * waves * round_s
    first = waves * in_flight * whole.ttft_s + left * last.ttft_s
    return Roofline(
        shares_s=shares,
        in_flight=in_flight,
        ttft_s=(waited + first) / sequences,
        tpot_s=whole.tpot_s,
        throughput=sequences * inputs["output_len"] / shares.sum(axis=1),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    shares_s: Array
    ttft_s: Array
    tpot_s: Array


def _round(
    inputs: ConfigurationTable, constants: Mapping[str, Array | float], in_flight: Array
) -> _Round:
    """Return the times of one round of so many sequences, shape (n,)."""
    is_hf = inputs.is_engine("hf")
    steps = inputs["output_len"]
    parallel = np.where(is_hf, 1.0, inputs["n_gpus"])
    weights = _weights_s(inputs, constants, in_flight, parallel)
    kv_reads = _kv_s(inputs, constants, in_flight, is_hf)
    compute = _decode_s(inputs, constants, in_flight, parallel)
    products = np.hypot(weights, compute) + _offload_s(inputs, constants, in_flight)
    link = _link_s(inputs, constants, in_flight, is_hf)
    overhead = constants["step_s"] + constants["layer_s"] * inputs["layers"]
    overhead = overhead + constants["sequence_s"] * in_flight
    uncaptured = _uncaptured_s(inputs, constants, in_flight)
    prompt = in_flight * inputs["input_len"]
    prefill = _prefill_s(inputs, constants, in_flight, parallel)
    prefill = np.hypot(prefill, weights) + _offload_s(inputs, constants, prompt)
    prefill_link = _link_s(inputs, constants, prompt, is_hf)
    once = constants["round_s"] + constants["request_s"] * in_flight
    later = steps - 1
    shares = np.stack(
        (
            products * later,
            kv_reads * later,
            prefill,
            link * later + prefill_link,
            overhead * steps + uncaptured * later + once,
        ),
        axis=1,
    )
    vendor = _vendor(inputs, constants)
    return _Round(
        shares_s=shares / vendor[:, None],
        ttft_s=(prefill + prefill_link + overhead + once) / vendor,
        tpot_s=(products + kv_reads + link + overhead + uncaptured) / vendor,
    )


def peak_throughput(inputs: ConfigurationTable) -> Array:
    """Return tokens/s that no measurement of the configuration can honestly beat, shape (n,)."""
    return roofline(inputs, IDEAL).throughput


def experts_touched(experts: Array, per_token: Array, tokens: Array) -> Array:
    """Return the expected number of distinct experts that ``tokens`` tokens are routed to."""
    share = np.divide(per_token, experts, out=np.ones_like(experts), where=experts > 0)
    touched: Array = experts * -np.expm1(tokens * np.log1p(-np.minimum(share, 1 - 1e-12)))
    return touched


def _bytes_per_param(inputs: ConfigurationTable) -> Array:
    return inputs["weight_bytes"] / inputs["params"]


def _touched_bytes(inputs: ConfigurationTable, tokens: Array) -> Array:
    """Return weight bytes read by one step over ``tokens`` tokens."""
    touched = experts_touched(inputs["experts"], inputs["experts_per_token"], tokens)
    idle_of_active = (touched - inputs["experts_per_token"]) * inputs["expert_params"]
    return (inputs["active_params"] + idle_of_active) * _bytes_per_param(inputs)


def _weights_s(
    f: ConfigurationTable, c: Mapping[str, Array | float], tokens: Array, parallel: Array
) -> Array:
    return _touched_bytes(f, tokens) / (parallel * f["bandwidth"] * c["weight_efficiency"])


def _offload_s(f: ConfigurationTable, c: Mapping[str, Array | float], tokens: Array) -> Array:
    """Return seconds of a step over ``tokens`` tokens to fetch what is in the host's memory."""
    touched = outside_bytes(f) * _touched_bytes(f, tokens) / f["weight_bytes"]
    seconds: Array = touched / c["pcie_bytes_s"]
    return seconds


def _context(f: ConfigurationTable) -> Array:
    """Return mean tokens of KV cache read a sequence a step; sliding layers read their window."""
    context = f["input_len"] + f["output_len"] / 2
    window = np.where(f["window"] > 0, np.minimum(f["window"], context), context)
    sliding = f["sliding_layers"] / f["attention_layers"].clip(min=1.0)
    tokens: Array = (1 - sliding) * context + sliding * window
    return tokens


def _kv_s(
    f: ConfigurationTable,
    c: Mapping[str, Array | float],
    sequences: Array,
    is_hf: NDArray[np.bool_],
) -> Array:
    sharing = f["heads"] / f["kv_heads"].clip(min=1.0)
    repeats = np.where(_reads_by_query_head(f), 1 + (sharing - 1) * c["rereads"], 1.0)
    heads = f["kv_heads"].clip(min=1.0) * repeats
    split = np.where(is_hf, 1.0, np.minimum(f["n_gpus"], heads))
    read = sequences * _context(f) * f["kv_bytes_per_token"] * repeats
    seconds: Array = read / (split * f["bandwidth"] * c["kv_efficiency"])
    return seconds


def _reads_by_query_head(f: ConfigurationTable) -> NDArray[np.bool_]:
    """Return where decoding reads the KV cache once a query head, not once a KV head, (n,)."""
    is_nvidia = (f["is_amd"] == 0) & (f["is_other_vendor"] == 0)
    has_flash_attention = is_nvidia & (f["year"] >= _AMPERE_YEAR)
    reads: NDArray[np.bool_] = (f["is_early"] > 0) & f.is_engine("vllm") & ~has_flash_attention
    return reads


def _uncaptured_s(f: ConfigurationTable, c: Mapping[str, Array | float], sequences: Array) -> Array:
    """Return seconds that a decode step without a CUDA graph takes longer, shape (n,)."""
    launches = np.where(f["experts"] > 0, _MIXTURE_LAUNCHES, 1.0)
    seconds: Array = c["uncaptured_layer_s"] * f["layers"] * launches
    return np.where(sequences > f["captured"], seconds, 0.0)


def _vendor(f: ConfigurationTable, c: Mapping[str, Array | float]) -> Array:
    """Return the speed of the whole round to that on NVIDIA with the same spec sheet, (n,)."""
    amd = np.where(f["is_amd"] > 0, c["amd_efficiency"], 1.0)
    factor: Array = amd * np.where(f["is_other_vendor"] > 0, c["other_vendor_efficiency"], 1.0)
    return factor


def _decode_s(
    f: ConfigurationTable, c: Mapping[str, Array | float], tokens: Array, parallel: Array
) -> Array:
    return 2 * f["active_params"] * tokens / (parallel * f["flops"] * c["decode_efficiency"])


def _prefill_s(
    f: ConfigurationTable, c: Mapping[str, Array | float], tokens: Array, parallel: Array
) -> Array:
    body = (f["active_params"] - f["vocab"] * f["hidden"]).clip(min=1.0)
    attention = f["attention_layers"] * f["heads"] * f["head_dim"] * f["input_len"]
    work = tokens * f["input_len"] * 2 * (body + attention)
    return work / (parallel * f["flops"] * c["prefill_efficiency"])


def _link_s(
    f: ConfigurationTable, c: Mapping[str, Array | float], tokens: Array, is_hf: NDArray[np.bool_]
) -> Array:
    """Return seconds of all-reduces (hand-overs between shards for Hugging Face) of one step."""
    n = f["n_gpus"]
    moved = tokens * f["hidden"] * _ACTIVATION_BYTES
    rate = f["interconnect"] / 2 * c["link_efficiency"]
    reduce = 2 * f["layers"] * (2 * (n - 1) / n * moved / rate + c["link_latency_s"] * np.log2(n))
    hand_over = (n - 1) * (moved / rate + c["hop_s"])
    return np.where(is_hf, hand_over, reduce)
