"""Whether the GPUs here are free, and holding them against other studies while they are in use."""

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from autotune.catalog.gpus import open_devices
from autotune.errors import GpuBusyError

GIB = 2**30
# What a driver keeps for itself, and a desktop's share, is below this part of a GPU's memory.
_FREE_SHARE = 0.03
# A process that has just ended gives its memory back within seconds.
_RELEASE_S = 20.0
_POLL_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUse:
    """How much of a GPU is in use, and by whom.

    Attributes:
        processes: ``pid (name), n.n GB`` a process, as far as the driver tells.
    """

    uuid: str
    name: str
    used_gb: float
    total_gb: float
    processes: tuple[str, ...] = ()

    @property
    def is_free(self) -> bool:
        """Whether nobody computes on it."""
        return not self.processes and self.used_gb <= _FREE_SHARE * self.total_gb

    @property
    def text(self) -> str:
        """Its name, the memory in use and the processes."""
        who = f" by {', '.join(self.processes)}" if self.processes else ""
        return f"{self.name} has {self.used_gb:.1f} of {self.total_gb:.1f} GB in use{who}"


def read_uses(n_gpus: int) -> list[GpuUse]:
    """Return the use of the first ``n_gpus`` visible GPUs, as far as NVML tells."""
    nvml, handles = open_devices(n_gpus)
    uses = [_read_use(nvml, handle) for handle in handles]
    return [use for use in uses if use is not None]


def _read_use(nvml: Any, handle: Any) -> GpuUse | None:
    """Return one GPU's use; ``None`` when the driver does not answer: that proves no other user."""
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        uuid, name = nvml.nvmlDeviceGetUUID(handle), nvml.nvmlDeviceGetName(handle)
    except nvml.NVMLError:
        return None
    return GpuUse(
        uuid=_text(uuid),
        name=_text(name),
        used_gb=memory.used / GIB,
        total_gb=memory.total / GIB,
        processes=tuple(map(_describe, _processes(nvml, handle))),
    )


def _processes(nvml: Any, handle: Any) -> Sequence[Any]:
    try:
        found: Sequence[Any] = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except nvml.NVMLError:
        return ()
    return found


def _describe(process: Any) -> str:
    try:
        name = Path(f"/proc/{process.pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        name = "another container's or user's"
    used = f", {process.usedGpuMemory / GIB:.1f} GB" if process.usedGpuMemory else ""
    return f"process {process.pid} ({name}{used})"


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def wait_until_free(read: Callable[[], Sequence[GpuUse]], *, patience_s: float) -> None:
    """Wait for GPUs that are being given back.

    Args:
        read: Returns the current use.
        patience_s: How long to wait.

    Raises:
        GpuBusyError: Naming each GPU still in use, its memory in use and its processes.
    """
    deadline = time.monotonic() + patience_s
    while busy := [use for use in read() if not use.is_free]:
        if time.monotonic() >= deadline:
            raise GpuBusyError(
                "; ".join(use.text for use in busy)
                + ": what is measured beside it would be false. End it, or choose other GPUs with "
                "CUDA_VISIBLE_DEVICES"
            )
        time.sleep(_POLL_S)


@contextlib.contextmanager
def hold_gpus(n_gpus: int) -> Iterator[None]:
    """Keep the first ``n_gpus`` visible GPUs for this process while the block runs.

    Another autotune on this host that wants one of them meanwhile is refused; the hold ends with
    the process, however it ends.

    Raises:
        GpuBusyError: When another study holds one of them, or something else computes on it.
    """
    with contextlib.ExitStack() as stack:
        for use in read_uses(n_gpus):
            stack.enter_context(hold(use.uuid, use.name))
        wait_until_free(lambda: read_uses(n_gpus), patience_s=_RELEASE_S)
        yield


@contextlib.contextmanager
def hold(uuid: str, name: str) -> Iterator[None]:
    """Hold one GPU by a lock file that every user of the host shares.

    Raises:
        GpuBusyError: When another process holds it, naming that process.
    """
    path = Path(tempfile.gettempdir()) / f"autotune-{uuid}.lock"
    with _open_shared(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = file.read().strip() or "unknown"
            raise GpuBusyError(
                f"{name} is being measured on by another study (process {holder}); wait for it, or "
                "choose another GPU with CUDA_VISIBLE_DEVICES"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _open_shared(path: Path) -> TextIO:
    """Open a lock file that other users may lock too, never through a link."""
    try:
        # A file of another user's in a sticky directory opens only when not to be created.
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        path.chmod(0o666)
    return os.fdopen(descriptor, "r+", encoding="utf-8")
