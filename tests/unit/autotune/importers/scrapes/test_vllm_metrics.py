"""Two scrapes of vLLM become the load between them; what is no such pair is refused."""

import inspect
import json
import re
from dataclasses import replace

import pytest

from autotune.errors import InvalidRecordError, UsageError
from autotune.importers.scrapes import vllm_metrics
from autotune.importers.scrapes.vllm_metrics import read_scrape, served_between
from autotune.schema.served_load import ServedLoad, describe_load
from tests.support.scrapes import MODEL, NAMES, VERSIONS, Request, scrape

BEFORE = [Request(prompt=7, generated=3, ttft_s=9.0)] * 5
MEANWHILE = [
    *[Request()] * 2,
    Request(prompt=401, generated=31, cached=200, ttft_s=1.0, why="stop"),
    # One token alone: it has no time per output token, and vLLM writes 0 down.
    Request(prompt=100, generated=1, ttft_s=0.25),
]
each_version = pytest.mark.parametrize("version", VERSIONS)


def load(first: str, second: str, window_s: float = 10.0) -> ServedLoad:
    return served_between(read_scrape(first, "a"), read_scrape(second, "b"), window_s, "clock")


@each_version
def test_the_load_is_what_ended_between_the_scrapes(version: str) -> None:
    seen = load(
        scrape(BEFORE, version=version, running=2, waiting=0, preemptions=1),
        scrape([*BEFORE, *MEANWHILE], version=version, running=4, waiting=1, preemptions=3),
    )
    assert (seen.served_model, seen.n_engines, seen.n_requests) == (MODEL, 1, 4)
    assert seen.finished == {"length": 3, "stop": 1, "abort": 0, "error": 0, "repetition": 0}
    assert (seen.input_len, seen.output_len) == (701 / 4, 54 / 4)
    assert seen.request_throughput == 0.4
    assert seen.output_throughput == 5.4
    assert seen.total_throughput == 75.5
    assert seen.in_flight == pytest.approx(sum(r.e2e_s for r in MEANWHILE) / 10)
    assert (seen.running, seen.waiting, seen.kv_cache_usage) == (3.0, 0.5, 0.25)
    assert seen.prefix_hit_rate == 200 / 701
    assert seen.preemptions == 2
    assert seen.mean_ttft_ms == pytest.approx(1000 * (0.5 + 0.5 + 1.0 + 0.25) / 4)
    assert seen.mean_tpot_ms == pytest.approx(50)
    assert seen.mean_itl_ms == pytest.approx(50)
    assert seen.mean_queue_ms == pytest.approx(100)
    assert seen.mean_e2el_ms == pytest.approx(1000 * sum(r.e2e_s for r in MEANWHILE) / 4)


def test_it_is_a_workload_of_serving_at_the_rate_that_was_seen() -> None:
    asked = load(scrape(BEFORE), scrape([*BEFORE, *MEANWHILE])).workload()
    assert (asked.mode, asked.input_len, asked.output_len) == ("serving", 175, 14)
    assert asked.request_rate == 0.4


def test_engines_of_one_server_are_summed() -> None:
    seen = load(
        scrape({"0": BEFORE, "1": []}),
        scrape({"0": [*BEFORE, *MEANWHILE[:2]], "1": MEANWHILE[2:]}),
    )
    alone = load(scrape(BEFORE), scrape([*BEFORE, *MEANWHILE]))
    there = alone.to_dict() | {"n_engines": 2, "running": 6.0, "waiting": 2.0}
    shown = seen.to_dict()
    assert shown.pop("finished") == there.pop("finished")
    assert shown == pytest.approx(there)


def test_names_of_older_versions_are_known() -> None:
    older = {
        "inter_token_latency_seconds": "time_per_output_token_seconds",
        "vllm:prefix_cache": "vllm:gpu_prefix_cache",
        "kv_cache_usage_perc": "gpu_cache_usage_perc",
        "request_time_per_output": "x_request_time_per_output",
    }
    texts = [scrape(BEFORE), scrape([*BEFORE, *MEANWHILE])]
    for name, was in older.items():
        texts = [text.replace(name, was) for text in texts]
    now = load(scrape(BEFORE), scrape([*BEFORE, *MEANWHILE]))
    assert load(*texts) == replace(now, mean_tpot_ms=None)


def test_what_a_server_does_not_tell_is_none() -> None:
    keep = ("generation_tokens", "request_prompt_tokens")
    texts = [
        "\n".join(line for line in text.splitlines() if any(name in line for name in keep))
        for text in (scrape(BEFORE), scrape([*BEFORE, *MEANWHILE]))
    ]
    seen = load(*texts)
    assert (seen.output_len, seen.output_throughput) == (13.5, 5.4)
    for name in ("total_throughput", "in_flight", "prefix_hit_rate", "mean_ttft_ms", "mean_tpot_ms",
                 "running", "preemptions", "kv_cache_usage"):  # fmt: skip
        assert getattr(seen, name) is None, name
    assert "None" not in " ".join(describe_load(seen))


def test_without_prefix_caching_there_is_no_hit_rate() -> None:
    texts = [
        "\n".join(line for line in text.splitlines() if "prefix_cache" not in line)
        + '\nvllm:prefix_cache_queries_total{engine="0"} 0\nvllm:prefix_cache_hits_total 0'
        for text in (scrape(BEFORE), scrape([*BEFORE, *MEANWHILE]))
    ]
    assert load(*texts).prefix_hit_rate is None


@each_version
def test_every_name_that_is_read_is_one_of_the_version_s(version: str) -> None:
    read = set(re.findall(r'"(vllm:\w+)"', inspect.getsource(vllm_metrics)))
    read = {re.sub("_(total|created|sum)$", "", name) for name in read}
    older = {
        name for name in read if "gpu_" in name or name == "vllm:time_per_output_token_seconds"
    }
    assert read - older <= {name for names in NAMES[version].values() for name in names}
    assert len(read) > 12
    assert len(older) == 4


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (scrape(BEFORE), scrape(BEFORE), "are the same scrape"),
        (scrape(BEFORE, running=1), scrape(BEFORE, running=2), "no request ended between"),
        (scrape([*BEFORE, *MEANWHILE]), scrape(BEFORE), "give the earlier scrape first"),
        (scrape(BEFORE), scrape([*BEFORE, *MEANWHILE], model="gpt2"), "two servers.*gpt2"),
        (scrape(BEFORE), scrape([*BEFORE, *MEANWHILE], started=1.8e9), "process_start_time"),
        (
            scrape(BEFORE),
            scrape([*BEFORE, *MEANWHILE]).replace("1.7000000001e+09", "1.8e+09"),
            "generation_tokens_created differs",
        ),
        (scrape(BEFORE), scrape({"0": BEFORE, "1": MEANWHILE}), "1 and 2 engines"),
        (scrape(BEFORE), scrape(BEFORE, model="a") + scrape(BEFORE, model="b"), "than one server"),
        (scrape(BEFORE) * 2, scrape(BEFORE), "more than one server"),
        ("", scrape(BEFORE), "a shows no metrics of vLLM"),
        ("up 1\n", scrape(BEFORE), "curl"),
        ("<html>\n", scrape(BEFORE), "a: line 1 is no sample"),
        (scrape(BEFORE), scrape([*BEFORE, Request()]).replace("_count", "_n"), "falls from a to b"),
        (
            scrape([]).replace("_sum", "_s"),
            scrape(MEANWHILE).replace("_sum", "_s"),
            "no request ended",
        ),
        (scrape([]), scrape(MEANWHILE).replace(" 54.0", " NaN"), "no request ended"),
    ],
)  # fmt: skip
def test_what_is_no_pair_of_one_server_is_refused(first: str, second: str, says: str) -> None:
    with pytest.raises(InvalidRecordError, match=f"(?s){says}") as caught:
        load(first, second)
    assert isinstance(caught.value, UsageError)
    assert "\n" not in str(caught.value)


def test_a_person_is_told_what_was_read() -> None:
    ill = Request(why="error")
    seen = load(scrape(BEFORE), scrape([*BEFORE, *MEANWHILE, ill], preemptions=2), window_s=12.5)
    lengths, now, cache, strain = describe_load(seen)
    assert lengths == (
        "Lengths are those of 5 requests that ended within 12.5 s (by the clock) at a and b: 160.2 "
        "prompt and 13.0 generated tokens on average"
    )
    assert now.startswith(f"Served now by 1 engine of {MODEL}: 5.2 generated tok/s, 0.4 requests/s")
    assert "TTFT 550 ms, mean TPOT 50 ms" in now
    assert cache.startswith("Its prefix cache held 25% of the prompt tokens")
    assert strain.startswith("Meanwhile 1 request ended by error and running requests were sent")
    assert strain.endswith("back to the queue 2 times")


def test_it_survives_its_json() -> None:
    seen = load(scrape(BEFORE), scrape([*BEFORE, *MEANWHILE]))
    row = json.loads(json.dumps(seen.to_dict()))
    assert (row["source"], row["suspect"]) == ("metrics", True)
    assert ServedLoad.from_dict(row) == seen
