"""One good and one bad input for each import format; three good rows, and the second one bad.

The JSON of vllm-bench, guidellm, aiperf and optimum-benchmark was made by these tools (see
fixtures/importers). That of ml-energy follows the leaderboard's own extraction script and is made
up here.
"""

import copy
import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autotune.importers.base import ImportOptions
from autotune.schema.codec import to_csv, to_json_line
from tests.support.records import record

FIXTURES = Path(__file__).parents[1] / "fixtures" / "importers"
RUNS = [record(), record(batch_size=16, knobs={"enforce_eager": True}), record(n_gpus=2)]
PUBLISHED_HEADER = (
    "source,source_path,model,engine,engine_version,gpu,n_gpus,batch_size,input_len,output_len,"
    "dtype,status,output_throughput,ttft_ms,itl_ms,suspect,notes,mode\n"
)
LLAMA = "meta-llama/Llama-2-7b-hf"
CLIENT = ImportOptions(
    engine="vllm", gpu="CPU:two-cores-2c", n_gpus=1, engine_version="0.32.0", model=LLAMA
)
ON_CPU = ImportOptions(gpu=CLIENT.gpu, n_gpus=1, model=LLAMA)


@dataclass(frozen=True, kw_only=True)
class Case:
    """Inputs of one format: file name -> content; several files are a folder."""

    format: str
    good: Mapping[str, bytes]
    bad: Mapping[str, bytes]
    options: ImportOptions = field(default_factory=ImportOptions)

    @property
    def id(self) -> str:
        """Name of the case."""
        return f"{self.format}-{next(iter(self.good))}"


def put(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write the files; return the only one, or the folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder / next(iter(files)) if len(files) == 1 else folder


def jsonl() -> bytes:
    """Return three RunRecords as JSON lines."""
    return "".join(to_json_line(run) + "\n" for run in RUNS).encode()


def _published() -> bytes:
    rows = "".join(
        f"paper,file.csv#{i},meta-llama/Llama-2-7b-hf,vllm,0.4,A100-40GB,1,{2**i},128,64,fp16,"
        f"completed,{50 * 2**i},,,False,,closed_batch\n"
        for i in range(3)
    )
    return (PUBLISHED_HEADER + rows).encode()


def _infpop(*second: str) -> dict[str, bytes]:
    """One cell of the replication data: 5, 10 and 20 new tokens."""
    rows = [f"{i},Phi-2,vLLM,1,1,{tok_s},ok" for i, tok_s in enumerate((10.0, 15.0, 20.0))]
    rows[1] = second[0] if second else rows[1]
    table = "RQ2_tables/table_batchsizes_{}_vLLM_gpu_1.csv"
    return {
        "allData.csv": "\n".join(
            [",model,engine,nrGPUs,batchSize,throughput,errors_l", *rows, ""]
        ).encode(),
        table.format("a100"): b"model,1\nPhi-2,10\n",
        table.format("tesla"): b"model,1\nPhi-2,6\n",
    }


def _bench(*second: str) -> bytes:
    """LLM-Inference-Bench: 2 x 128 tokens x batch / 2 s each."""
    rows = [
        f"Nvidia H100 GPU,1,vLLM,{LLAMA},128,{batch},2.0,{256 * batch / 2}" for batch in (1, 16, 32)
    ]
    rows[1] = second[0] if second else rows[1]
    header = (
        "Hardware,Num of Hardware,Framework,Model,Input Output Length,Batch Size,Latency,Throughput"
    )
    return ("\n".join([header, *rows]) + "\n").encode()


def pilot(users: int, *, status: str = "200", latency: int = 70) -> bytes:
    """LLM-Pilot: each user sends two requests of four tokens, one after the other."""
    header = (
        ",status,model,num_users,latency_ms,n_gpus,gpu_type,start_timestamp,end_timestamp,"
        "n_input_tokens,n_output_tokens,latency_ms_per_token"
    )
    rows = [
        f"{user * 2 + turn},{status},bigcode/starcoder,{users},{latency},1,A100,"
        f'{1000 + 70 * turn},{1070 + 70 * turn},100,4,"[10, 30, 10, 10, 10]"'
        for user in range(users)
        for turn in range(2)
    ]
    return ("\n".join([header, *rows]) + "\n").encode()


def ml_energy(**changes: Any) -> bytes:
    """One result of the ML.ENERGY leaderboard v2, by its extraction script's keys."""
    values = {
        "Model": "mistralai/Mistral-7B-Instruct-v0.3",
        "GPU": "NVIDIA A100-SXM4-40GB",
        "TP": 1,
        "PP": 1,
        "Energy/req (J)": 80.0,
        "Avg TPOT (s)": 0.05,
        "Token tput (tok/s)": 600.0,
        "Avg Output Tokens": 400.0,
        "Avg BS (reqs)": 31.9,
        "Max BS (reqs)": 32,
    }
    return json.dumps(values | changes).encode()


def _silicon(*modes: str) -> bytes:
    header = (
        "id,silicon_data_source,backend,backend_version,model_path,system,precision,mode,isl,osl,"
        "batch_size,tp_size,pp_size,attention_dp_size,moe_ep_size,silicon_ttft_ms,silicon_tpot_ms"
    )
    rows = [
        f"r{i},db-dump/x; silicon_concurrency={2**i}; measured=2026-04-1{i}T00:00:00.000Z; y,vllm,"
        f"0.19.0,Qwen/Qwen3-32B,h200_sxm,fp8,{mode},1024,1024,{2**i},2,1,1,1,100.0,10.0"
        for i, mode in enumerate(modes)
    ]
    return ("\n".join([header, *rows]) + "\n").encode()


TRT_TABLE = """# Performance of TensorRT-LLM

### H100 GPUs (FP8)<sup>*</sup>

| Model     | Batch Size | TP (1) | Input Length | Output Length | Throughput (out tok/s/GPU) |
| :-------- | :--------- | :----- | :----------- | :------------ | -------------------------: |
| GPT-J 6B  | 64         | 1      | 128          | 128           |                     10,907 |
|           |            |        |              |               |                            |
| LLaMA 70B | 64         | 4      | 128          | 128           |                      3,317 |

| Model     | Batch Size | TP (1) | Input Length | 1st Token Latency (ms) |
| :-------- | :--------- | :----- | :----------- | ---------------------: |
| LLaMA 70B | 1          | 4      | 2048         |                    109 |
"""
TRT_CSV = """GPU,Precision,Model,Batch Size,TP,Input Length,Output Length,Throughput (out tok/s/GPU)
H100,FP8,GPT-J 6B,64,1,128,128,10907
H100,FP8,LLaMA 70B,64,4,128,128,3317
L40S,FP8,LLaMA 7B,32,1,2048,128,581
"""


def fixture(name: str, change: Callable[[Any], Any] = lambda report: report) -> bytes:
    """Return a fixture, as it is or with its JSON changed."""
    if not name.endswith(".json"):
        return (FIXTURES / name).read_bytes()
    return json.dumps(change(json.loads((FIXTURES / name).read_text()))).encode()


def _three_benchmarks(report: dict[str, Any]) -> dict[str, Any]:
    third = copy.deepcopy(report["benchmarks"][1])
    third["start_time"] += 60
    return report | {"benchmarks": [*report["benchmarks"], third]}


def _second_failed(report: dict[str, Any]) -> dict[str, Any]:
    changed = _three_benchmarks(report)
    changed["benchmarks"][1]["metrics"]["request_totals"]["successful"] = 0
    return changed


def optimum(batch: int, **changes: Any) -> bytes:
    """The result of optimum-benchmark with another batch size and changes to its backend."""

    def change(whole: dict[str, Any]) -> dict[str, Any]:
        whole["config"]["scenario"]["input_shapes"]["batch_size"] = batch
        whole["config"]["backend"] |= changes
        return whole

    return fixture("optimum_benchmark.json", change)


def _aiperf(started: str, *, requests: float = 32.0) -> bytes:
    return fixture(
        "profile_export_aiperf.json",
        lambda export: (
            export | {"start_time": started, "request_count": {"unit": "requests", "avg": requests}}
        ),
    )


def _trio(good: Mapping[str, bytes], bad: bytes) -> dict[str, Mapping[str, bytes]]:
    second = list(good)[1]
    return {"good": good, "bad": {**good, second: bad}}


def _single(name: str, good: bytes, bad: bytes) -> dict[str, Mapping[str, bytes]]:
    return {"good": {name: good}, "bad": {name: bad}}


CASES = [
    Case(
        format="runs",
        **_single("runs.jsonl", jsonl(), jsonl().replace(b'"n_gpus":1', b'"n_gpus":0', 1)),
    ),
    Case(
        format="runs",
        **_single(
            "runs.csv", to_csv(RUNS).encode(), to_csv(RUNS).replace("1376.5", "-3", 1).encode()
        ),
    ),
    Case(
        format="published",
        **_single("table.csv", _published(), _published().replace(b",100,", b",-100,")),
    ),
    Case(
        format="published",
        **_single(
            "table.csv.gz",
            gzip.compress(_published()),
            gzip.compress(_published().replace(b",100,", b",-100,")),
        ),
    ),
    Case(
        format="llm-inference-bench",
        **_single(
            "All_results.csv",
            _bench(),
            _bench(f"Nvidia H100 GPU,1,vLLM,{LLAMA},128,16,2.0,9000.0"),
        ),
    ),
    Case(
        format="llm-pilot",
        **_trio({f"u{n}.csv": pilot(n) for n in (1, 2, 4)}, pilot(2, status="408")),
    ),
    Case(
        format="ml-energy",
        **_trio(
            {f"bs{n}.json": ml_energy(**{"Max BS (reqs)": n}) for n in (16, 32, 64)},
            ml_energy(GPU="NVIDIA nothing"),
        ),
    ),
    Case(format="infpop", good=_infpop(), bad=_infpop("1,Phi-2,vLLM,1,1,15.0,odd")),
    Case(
        format="aiconfigurator",
        **_single(
            "silicon_sample.csv", _silicon("agg", "agg", "agg"), _silicon("agg", "disagg", "agg")
        ),
    ),
    Case(
        format="trtllm",
        **_single(
            "performance_v0.6.md",
            TRT_TABLE.encode(),
            TRT_TABLE.replace("| 64         | 4 ", "| many       | 4 ").encode(),
        ),
    ),
    Case(
        format="trtllm",
        **_single("trt.csv", TRT_CSV.encode(), TRT_CSV.replace("3317", "-3317").encode()),
    ),
    Case(
        format="vllm-bench",
        options=CLIENT,
        **_trio(
            {
                "sweep/a/run=0.json": fixture("vllm_bench_serve_c2.json"),
                "sweep/b/run=0.json": fixture("vllm_bench_serve_c4.json"),
                "sweep/b/run=1.json": fixture(
                    "vllm_bench_serve_c4.json", lambda run: run | {"date": "20260101-000000"}
                ),
            },
            fixture("vllm_bench_serve_c4.json", lambda run: run | {"completed": 0}),
        ),
    ),
    Case(
        format="guidellm",
        options=CLIENT,
        **_single(
            "guidellm.json",
            fixture("guidellm.json", _three_benchmarks),
            fixture("guidellm.json", _second_failed),
        ),
    ),
    Case(
        format="aiperf",
        options=CLIENT,
        **_trio(
            {
                f"{n}/profile_export_aiperf.json": _aiperf(f"2026-01-0{n}T00:00:00")
                for n in (1, 2, 3)
            },
            _aiperf("2026-01-02T00:00:00", requests=0.0),
        ),
    ),
    Case(
        format="optimum-benchmark",
        **_trio(
            {f"{n}/benchmark.json": optimum(n) for n in (1, 2, 4)}, optimum(2, name="openvino")
        ),
        options=ON_CPU,
    ),
]
