"""Real failure texts are told apart."""

import signal

import pytest

from autotune.runner.failures import cause_of, classify, classify_exit, classify_failure, last_words

OUT_OF_MEMORY = [
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total ...",
    "RuntimeError: CUDA error: out of memory",
    "RuntimeError: [enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory",
    "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`",
    "ValueError: To serve at least one request with the models's max seq len (131072), (16.00 GiB "
    "KV cache is needed, which is larger than the available KV cache memory (11.10 GiB).",
    "ValueError: Free memory on device (3.1/22.1 GiB) on startup is less than desired GPU memory "
    "utilization (0.9, 19.8 GiB).",
    "MemoryError: ",
    "terminate called after throwing an instance of 'std::bad_alloc'",
    "OSError: [Errno 12] Cannot allocate memory",
]
OTHER = [
    "AssertionError: ",
    "ValueError: head size 80 is not supported",
    "NCCL error: unhandled",
    "",
]


@pytest.mark.parametrize("text", OUT_OF_MEMORY)
@pytest.mark.parametrize("started", [True, False])
def test_out_of_memory_is_recognised_at_start_and_in_flight(text: str, started: bool) -> None:
    assert classify(text, started=started) == "out_of_memory"


@pytest.mark.parametrize("text", OTHER)
def test_any_other_failure_is_named_by_its_moment(text: str) -> None:
    assert classify(text, started=True) == "crashed"
    assert classify(text, started=False) == "load_failed"


def test_an_error_that_points_to_the_log_is_classified_by_the_log() -> None:
    message = "RuntimeError: Engine core initialization failed. See root cause above."
    assert classify_failure("load_failed", message, OUT_OF_MEMORY[0]) == "out_of_memory"
    assert classify_failure("load_failed", message, "KeyError") == "load_failed"
    assert classify_failure("crashed", "EngineDeadError: ...", OUT_OF_MEMORY[0]) == "out_of_memory"


def test_an_error_that_speaks_for_itself_is_not_overruled_by_the_log() -> None:
    assert classify_failure("crashed", "AssertionError: x", OUT_OF_MEMORY[0]) == "crashed"
    assert classify_failure("timed_out", "EngineCore", OUT_OF_MEMORY[0]) == "timed_out"


@pytest.mark.parametrize(
    ("returncode", "text", "status", "says"),
    [
        (-signal.SIGKILL, "", "out_of_memory", "killed by the kernel"),
        (-signal.SIGSEGV, "", "crashed", "SIGSEGV"),
        (-signal.SIGABRT, OUT_OF_MEMORY[7], "out_of_memory", "SIGABRT"),
        (-50, "", "crashed", "signal 50"),
        (1, OUT_OF_MEMORY[0], "out_of_memory", "exit code 1"),
        (1, "", "crashed", "exit code 1"),
        (None, "", "crashed", "silent"),
    ],
)
def test_a_worker_that_ended_without_a_word_is_classified(
    returncode: int | None, text: str, status: str, says: str
) -> None:
    got, sentence = classify_exit(returncode, text, started=True)
    assert got == status
    assert says in sentence


def test_a_worker_that_ended_while_loading_failed_to_load() -> None:
    assert classify_exit(1, "", started=False)[0] == "load_failed"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (OUT_OF_MEMORY[0], "CUDA out of memory"),
        (OUT_OF_MEMORY[2], "out of host memory"),
        (OUT_OF_MEMORY[3], "no room for the KV cache"),
        (OUT_OF_MEMORY[4], "no room for the KV cache"),
        (OUT_OF_MEMORY[5], "too little free GPU memory for gpu_memory_utilization"),
        (
            "Value error, User-specified max_model_len (99999) is greater than the derived "
            "max_model_len (max_position_embeddings=2048.0 or model_max_length=None in model's "
            "config.json). ... will cause a CUDA array out-of-bounds error.",
            "longer than the model takes",
        ),
        (
            "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:3356, "
            "unhandled system error, NCCL version 2.27.3",
            "NCCL failure",
        ),
        ("KeyError: 'lm_head'", None),
    ],
)
def test_a_known_cause_has_a_name(text: str, cause: str | None) -> None:
    assert cause_of(text) == cause


# As vLLM 0.32 ends when a worker of a pipeline dies.
LOG = """\
(EngineCore pid=6213) INFO 11-23 21:42:10 [core.py:101] Initializing a V1 LLM engine
(Worker_PP1 pid=6258) ERROR 11-23 21:42:14 [multiproc_executor.py:1063] Traceback (most recent ...
(Worker_PP1 pid=6258) ERROR 11-23 21:42:14 [multiproc_executor.py:1063] AssertionError
(EngineCore pid=6213) ERROR 11-23 21:42:14 [core.py:1512] KeyError: '0-9b6bc235'
vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See the root cause.
(Worker_PP0 pid=6257) INFO 11-23 21:42:14 [multiproc_executor.py:843] Parent process exited
"""


def test_the_last_words_are_the_errors_that_say_something() -> None:
    assert last_words(LOG) == "AssertionError\nKeyError: '0-9b6bc235'"


def test_among_the_last_words_a_known_cause_comes_first() -> None:
    assert last_words(OUT_OF_MEMORY[0] + "\n" + LOG) == OUT_OF_MEMORY[0]


def test_without_an_error_the_last_words_are_the_last_line() -> None:
    assert last_words("loading\nhalf way\n\n") == "half way"
    assert last_words("") == ""
