"""Public sources: fetched by commit, and what is said where there is no network."""

import io
import tarfile
from pathlib import Path

import pytest

from autotune.errors import UsageError
from autotune.importers.download import SOURCES, fetch
from autotune.importers.run import locate

pooch = pytest.importorskip("pooch", reason="pooch fetches; it is not installed here")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOTUNE_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError("name or service not known")

    monkeypatch.setattr(pooch, "retrieve", refuse)


@pytest.mark.parametrize("name", list(SOURCES))
def test_without_a_network_it_says_what_to_fetch_and_where_to_put_it(name, cache, no_network):
    with pytest.raises(UsageError) as caught:
        fetch(name)
    message = str(caught.value)
    assert SOURCES[name].url in message
    assert SOURCES[name].commit in message
    assert str(cache / name) in message
    assert f"--format {name}" in message


def test_a_file_put_there_by_hand_is_taken(cache, no_network):
    source = SOURCES["trtllm"]
    path = cache / "trtllm" / source.commit / "performance.md"
    path.parent.mkdir(parents=True)
    path.write_text("| Model |")
    assert fetch("trtllm") == path


def test_a_folder_put_there_by_hand_is_taken(cache, no_network):
    source = SOURCES["llm-pilot"]
    folder = cache / "llm-pilot" / source.commit / "files" / source.path
    folder.mkdir(parents=True)
    (folder / "results.csv").write_text("a,b")
    assert fetch("llm-pilot") == folder


def test_an_archive_is_unpacked_once_and_its_checksum_recorded(cache, monkeypatch):
    source = SOURCES["llm-pilot"]
    inner = f"LLM-performance-prediction-{source.commit}/{source.path}/results.csv"

    def retrieve(url, known_hash, fname, path):
        assert url == source.url
        assert known_hash is None
        path.mkdir(parents=True)
        with tarfile.open(path / fname, "w:gz") as tar:
            for name in (inner, "LLM-performance-prediction/other.txt"):
                info = tarfile.TarInfo(name)
                info.size = 3
                tar.addfile(info, io.BytesIO(b"a,b"))
        return str(path / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.warns(UserWarning, match="pinned by commit"):
        folder = fetch("llm-pilot")
    assert [path.name for path in folder.iterdir()] == ["results.csv"]
    assert list(cache.rglob("*.sha256"))
    assert not list(cache.rglob("other.txt"))
    monkeypatch.setattr(pooch, "retrieve", None)
    assert fetch("llm-pilot") == folder


def test_an_unknown_source_is_named_with_those_known(tmp_path):
    with pytest.raises(UsageError, match="llm-pilot"):
        fetch("llm-piolt")


def test_a_source_without_download_says_how_to_fetch_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="--download"):
        locate(Path("llm-pilot"), download=False)
    assert locate(tmp_path, download=False) == tmp_path
