"""Everything that reads what others wrote: how it is fed, and with what to begin."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autotune.catalog.gpu_files import read_gpu_file
from autotune.catalog.gpus import find_gpu
from autotune.catalog.memory import plan_memory
from autotune.catalog.models import find_model
from autotune.catalog.naming import identify_model
from autotune.cli.options import read_settings
from autotune.engines.prompts.files import read_prompts
from autotune.importers.run import read_file, screened, set_rejected_aside
from autotune.importers.scrapes.take import read_load
from autotune.runner.worker_process import GarbledEventError, parse_event
from autotune.schema.codec import to_json_line
from autotune.schema.engine_config import EngineConfig
from autotune.schema.loading import study_from_dict, study_from_options
from autotune.schema.served_load import ServedLoad, describe_load
from autotune.schema.study_spec import parse_incumbent
from autotune.schema.validation import parse_counts
from autotune.store.cache import RecordCache
from autotune.store.journal import open_journal, read_journal
from recommender.recommendation.objectives import gather_prices
from recommender.reports.ledger import load
from recommender.surrogate.artifact import META_FILE, TREES_FILE
from recommender.surrogate.predictor import PRETRAINED, Predictor
from tests.contract.importer_cases import CASES, Case
from tests.support.gpu_files import gpu_toml
from tests.support.records import record
from tests.support.scrapes import Request, scrape


@dataclass(frozen=True)
class Target:
    """One parser.

    Attributes:
        feed: Reads the input, in an empty folder of its own, outside of which it writes nothing.
    """

    feed: Callable[[bytes, Path], object]
    seeds: Sequence[bytes]


def _journal(data: bytes, folder: Path) -> None:
    path = folder / "input.jsonl"
    path.write_bytes(data)
    with open_journal(path, resume=True) as journal:
        journal.append(record(batch_size=77))
        held = list(journal.records)
    assert read_journal(path) == held


def _study(data: bytes, folder: Path) -> None:
    path = folder / "input.yaml"
    path.write_bytes(data)
    study_from_options(path, {})


def _gpus(data: bytes, folder: Path) -> None:
    path = folder / "input.toml"
    path.write_bytes(data)
    read_gpu_file(path)


def _scrape(data: bytes, folder: Path) -> None:
    paths = folder / "earlier", folder / "later"
    paths[0].write_bytes(_SCRAPES[0])
    paths[1].write_bytes(data)
    load = read_load([str(path) for path in paths], 10.0)
    assert ServedLoad.from_dict(load.to_dict()) == load
    load.workload()
    describe_load(load)


def _prices(data: bytes, folder: Path) -> None:
    path = folder / "input.yaml"
    path.write_bytes(data)
    gather_prices([data[:40].decode(errors="replace")], path)


def _model(data: bytes, folder: Path) -> None:
    model = folder / "input"
    model.mkdir()
    (model / "config.json").write_bytes(data)
    for gpu in ("H100", "V100"):
        plan_memory(
            identify_model(str(model)),
            find_gpu(gpu),
            engine="vllm",
            n_gpus=2,
            batch_size=8,
            sequence_len=64,
            dtype="bfloat16",
            kv_dtype="bfloat16",
        )


def _prompts(data: bytes, folder: Path) -> None:
    path = folder / "input.jsonl"
    path.write_bytes(data)
    read_prompts(str(path))


def _text(data: bytes, _: Path) -> None:
    """A text wherever the command line takes one."""
    text = data.decode(errors="surrogateescape")
    settings: Mapping[str, object] = {}
    for read in (find_gpu, find_model, parse_incumbent, parse_counts):
        _refused(read, text)
    settings = _refused(read_settings, [text]) or {}
    _refused(lambda knobs: study_from_dict({"model": "gpt2", "knobs": knobs}), settings)
    _refused(
        lambda knobs: EngineConfig(engine="vllm", model="gpt2", gpu="H100", knobs=knobs), settings
    )


def _refused(read: Callable[..., object], value: object) -> object:
    from autotune.errors import UsageError

    try:
        return read(value)
    except UsageError:
        return None


def _recommendation(data: bytes, folder: Path) -> None:
    path = folder / "input.json"
    path.write_bytes(data)
    load(str(path), folder)


def _cache(data: bytes, folder: Path) -> None:
    cache = RecordCache(folder)
    cache.replace([record()])
    cache.extend([record(batch_size=2)])
    damaged = sorted(cache.path.parent.glob("*.json*"))
    for path in damaged:
        path.write_bytes(data)
    cache.read()
    cache.replace([record()])
    cache.extend([record(batch_size=2)])
    assert {8, 2} <= {r.batch_size for r in cache.read() or []}


def _surrogate(data: bytes, folder: Path) -> None:
    (folder / TREES_FILE).write_bytes((PRETRAINED / TREES_FILE).read_bytes())
    (folder / META_FILE).write_bytes(data)
    Predictor.load(folder)


def _event(data: bytes, _: Path) -> None:
    for line in data.split(b"\n"):
        try:
            parse_event(line)
        except GarbledEventError:
            continue


def _importer(case: Case) -> Target:
    name = next(iter(case.good))

    def feed(data: bytes, folder: Path) -> None:
        for other, content in case.good.items():
            (folder / other).parent.mkdir(parents=True, exist_ok=True)
            (folder / other).write_bytes(data if other == name else content)
        path = folder / name if len(case.good) == 1 else folder
        file = screened(read_file(path, format_name=case.format, options=case.options))
        set_rejected_aside(file, folder / "input")

    return Target(feed, [case.good[name], case.bad.get(name, case.good[name])])


_RUNS = "".join(to_json_line(record(batch_size=k)) + "\n" for k in (1, 2)).encode()
_SCRAPES = [
    "\n".join(
        line for line in scrape(ended).splitlines() if "request_" in line or "gen" in line
    ).encode()
    for ended in ([], [Request()] * 3)
]
_STUDY = b"""model: meta-llama/Llama-3.1-8B
engines: [vllm, hf]
n_gpus: [1, 2]
batch_sizes: "1:512"
workloads:
  - {mode: closed_batch, input_len: 512, output_len: 128}
  - {mode: serving, input_len: 512, output_len: 128, length_distribution: lognormal}
knobs:
  vllm: {max_num_batched_tokens: [2048, 8192]}
slo: {max_ttft_ms: 500, max_tpot_ms: 30}
policy: {target_ci95: 0.02, time_budget_s: 60}
kept: 2x64
"""
_LAMPS = b"a: &a [1, 1]\n" + b"".join(
    b"%c: &%c [*%c, *%c, *%c]\n" % (k + 1, k + 1, k, k, k) for k in range(97, 121)
)
_CONFIGS = [
    (json.dumps(dict(config))).encode()
    for config in (
        {
            **{"model_type": "llama", "hidden_size": 64, "intermediate_size": 128},
            **{"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2},
            **{"vocab_size": 100, "max_position_embeddings": 64, "torch_dtype": "bfloat16"},
            "architectures": ["LlamaForCausalLM"],
        },
        {
            **{"model_type": "mixtral", "hidden_size": 64, "intermediate_size": 128},
            **{"num_hidden_layers": 2, "num_attention_heads": 4, "num_local_experts": 4},
            **{"num_experts_per_tok": 2, "vocab_size": 100, "sliding_window": 32},
        },
    )
]
_EVENTS = [
    b'{"event": "pass", "warmup": true, "output_throughput": 1.5}',
    b'{"event": "measured", "metrics": {"output_throughput": 1.5, "repeats": 2}}',
    b'{"event": "failed", "status": "crashed", "message": "no"}',
    b'{"event": "started", "engine_start_s": 1, "info": {"engine_version": "1", "dtype": "a",'
    b' "weights": "random", "vocab_size": 1, "kv_cache_tokens": null, "settings": {}}}',
]
_TEXTS = [
    *(
        b"1:512",
        b"1,3,7",
        b"2x64",
        b"hf:1x16",
        b"H100=2.9",
        b"H100",
        b"A100-SXM4-80GB",
        b"CPU:x-2c",
    ),
    *(b"kv_cache_dtype=fp8", b"vllm.block_size=[16,32]", b"meta-llama/Llama-3.1-8B", b"x={}"),
]
TARGETS: Mapping[str, Target] = {
    "journal": Target(_journal, [_RUNS]),
    "study": Target(_study, [_STUDY, _LAMPS, b"model: gpt2\n"]),
    "GPUs": Target(_gpus, [gpu_toml().encode(), gpu_toml(short_names=True).encode()]),
    "scrapes": Target(_scrape, [_SCRAPES[1]]),
    "prices": Target(_prices, [b"H100: 2.9\nA100: 1.8\n", b'{"H100": 3}']),
    "config.json": Target(_model, _CONFIGS),
    "prompts": Target(_prompts, [b'{"prompt": "def f(", "output_len": 3}\n' * 2]),
    "texts": Target(_text, _TEXTS),
    "recommendation": Target(_recommendation, [b'{"recommendation_id": "0123"}']),
    "cache": Target(_cache, [_RUNS, b'{"version": 3, "sha256": ""}\n{}']),
    "surrogate": Target(_surrogate, [(PRETRAINED / META_FILE).read_bytes()]),
    "worker's events": Target(_event, _EVENTS),
    **{f"import {case.id}": _importer(case) for case in CASES},
}
