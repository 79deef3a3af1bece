"""``recommend --from-metrics``: what is served now says the lengths, and is shown beside it."""

from pathlib import Path

import pytest

import recommender
from recommender.reports import ledger
from tests.support.scrapes import MODEL, VERSIONS, Request, scrape
from tests.support.workspace import Workspace

ASK = ("recommend", "--model", MODEL, "--target-gpu", "H100", "--max-gpus", 1)
SHORT = Request(prompt=150, generated=40)
LONG = Request(prompt=251, generated=101, cached=200)


@pytest.fixture
def here(tmp_path: Path) -> Workspace:
    (tmp_path / "earlier").write_text(scrape([]))
    (tmp_path / "later").write_text(scrape([SHORT, LONG]))
    return Workspace(tmp_path)


READ = ("--from-metrics", "earlier", "--from-metrics", "later", "--scrape-seconds", 10)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_answer_is_that_for_the_lengths_that_are_served(here: Workspace, version: str) -> None:
    (here.folder / "earlier").write_text(scrape([], version=version))
    (here.folder / "later").write_text(scrape([SHORT, LONG], version=version))
    read = here.here(*ASK, *READ, "--json").json()
    # The mean lengths are 200.5 and 70.5 tokens; Python rounds halves to the even number.
    typed = here.here(*ASK, "--input-len", 200, "--output-len", 70, "--json").json()
    assert read["workload"] == typed["workload"]
    assert read["best"] == typed["best"]
    assert (typed["served_load"], typed["remarks"]) == (None, read["remarks"][:-3])
    served = read["served_load"]
    assert (served["source"], served["suspect"], served["n_requests"]) == ("metrics", True, 2)
    assert (served["input_len"], served["output_len"]) == (200.5, 70.5)
    assert (served["request_throughput"], served["output_throughput"]) == (0.2, 14.1)
    assert served["prefix_hit_rate"] == 200 / 401


def test_a_person_reads_what_was_read(here: Workspace) -> None:
    shown = " ".join(here.here(*ASK, *READ).out.split())
    assert "200/70 tokens" in shown
    assert "Lengths are those of 2 requests that ended within 10 s (by --scrape-seconds)" in shown
    assert f"Served now by 1 engine of {MODEL}: 14.1 generated tok/s, 0.2 requests/s" in shown


def test_what_was_served_is_kept_with_the_answer(here: Workspace) -> None:
    answer = here.here(*ASK, *READ, "--json").json()
    kept = ledger.load(answer["recommendation_id"], here.folder / "mlruns")
    assert kept.to_dict() == answer
    assert kept.served_load is not None


def test_python_reads_the_same(here: Workspace) -> None:
    made = recommender.recommend(
        MODEL,
        "H100",
        max_gpus=1,
        from_metrics=[here.folder / "earlier", here.folder / "later"],
        scrape_seconds=10,
        tracking_uri=here.uri,
    )
    assert (made.query.workload.input_len, made.query.workload.mode) == (200, "closed_batch")
    assert made.served_load is not None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--from-metrics", "earlier"), "two files of one server"),
        (("--from-metrics", "later", "--from-metrics", "later"), "the same scrape"),
        (("--from-metrics", "later", "--from-metrics", "earlier"), "the earlier scrape first"),
        (("--from-metrics", "earlier", "--from-metrics", "other"), "two servers"),
        (("--from-metrics", "http://127.0.0.1:1", "--from-metrics", "earlier"), "one address"),
        (("--scrape-seconds", 5), "--scrape-seconds needs --from-metrics"),
        ((*READ, "--input-len", 512), "says what --input-len says"),
        ((*READ, "--output-len", 128), "says what --output-len says"),
    ],
)
def test_what_is_no_load_is_refused_in_a_sentence(
    here: Workspace, options: tuple[object, ...], says: str
) -> None:
    (here.folder / "other").write_text(scrape([SHORT, LONG], model="gpt2"))
    ran = here.here(*ASK, *options)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not (here.folder / "mlruns").exists()
