"""An EngineSession leaves nothing behind: no process, no descriptor, whatever went wrong."""

import os
import signal
import stat
import sys
import time
from pathlib import Path

import pytest

from autotune.errors import EngineUnavailableError, TrialError
from autotune.processes import end_group, members
from autotune.runner.session import EngineSession
from autotune.schema.engine_config import EngineConfig


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - Path.iterdir would count its own


@pytest.fixture
def config(cpu: str) -> EngineConfig:
    return EngineConfig(engine="hf", model="gpt2", gpu=cpu)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file whose shell commands run where the worker's interpreter would."""
    script = tmp_path / "worker.sh"
    script.touch()
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(script))
    return script


def test_a_worker_that_cannot_be_started_says_so_and_leaves_no_descriptor(
    config: EngineConfig, tmp_path: Path
) -> None:
    before = open_descriptors()
    session = EngineSession(config, log_path=tmp_path)
    with pytest.raises(EngineUnavailableError, match="cannot start a worker"):
        session.__enter__()
    session.close()
    assert open_descriptors() == before


def test_an_interpreter_that_is_missing_leaves_no_descriptor(
    config: EngineConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_descriptors()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "absent"))
    with (
        pytest.raises(EngineUnavailableError, match="absent"),
        EngineSession(config, log_path=tmp_path / "log"),
    ):
        pass
    assert open_descriptors() == before


def test_closing_twice_is_safe_and_a_closed_session_refuses(
    config: EngineConfig, tmp_path: Path
) -> None:
    before = open_descriptors()
    with EngineSession(config, log_path=tmp_path / "log") as session:
        pid = session.pid
        session.close()
    session.close()
    assert not members(pid)
    assert open_descriptors() == before
    with pytest.raises(TrialError, match="not open"):
        session.start(max_batch_size=1, max_model_len=8)


def test_a_worker_that_dies_is_noticed_though_its_child_holds_the_pipe_open(
    config: EngineConfig, tmp_path: Path, stand_in: Path
) -> None:
    stand_in.write_text("#!/bin/sh\nsleep 300 &\necho the last words >&2\nread request\nexit 3\n")
    begin = time.monotonic()
    with EngineSession(config, log_path=tmp_path / "log") as session:
        pid = session.pid
        with pytest.raises(TrialError, match="exit code 3") as caught:
            session.start(max_batch_size=1, max_model_len=8)
        assert caught.value.status == "load_failed"
        assert "the last words" in caught.value.log
        assert members(pid)
    assert not members(pid)
    assert time.monotonic() - begin < 100


def test_a_worker_that_says_nothing_has_timed_out_and_is_ended_against_its_will(
    config: EngineConfig, tmp_path: Path, stand_in: Path
) -> None:
    stand_in.write_text("#!/bin/sh\ntrap '' TERM INT\nwhile :; do sleep 1; done\n")
    with EngineSession(config, log_path=tmp_path / "log", start_timeout_s=0.3) as session:
        pid = session.pid
        with pytest.raises(TrialError, match=r"no progress for 0\.3 s") as caught:
            session.start(max_batch_size=1, max_model_len=8)
    assert caught.value.status == "timed_out"
    assert not members(pid)


def test_ending_a_group_ends_stopped_processes_too(
    config: EngineConfig, tmp_path: Path, stand_in: Path
) -> None:
    stand_in.write_text("#!/bin/sh\nsleep 300 &\nwait\n")
    with EngineSession(config, log_path=tmp_path / "log") as session:
        while len(members(session.pid)) < 2:
            time.sleep(0.01)
        os.killpg(session.pid, signal.SIGSTOP)
        begin = time.monotonic()
        end_group(session.pid, grace_s=60)
        assert not members(session.pid)
        assert time.monotonic() - begin < 50
