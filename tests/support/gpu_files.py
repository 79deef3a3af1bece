"""Files of GPUs that tests are made from."""

import json
from pathlib import Path
from typing import Any

NAME = "ZX-500"
# Of no real part.
SHEET: dict[str, Any] = {
    "vendor": "nvidia",
    "architecture": "ada",
    "memory_gb": 28.5,
    "bandwidth_gbs": 640,
    "fp16_tflops": 190.5,
    "bf16_tflops": 190.5,
    "fp8_tflops": 381,
    "fp32_tflops": 47.25,
    "interconnect": "PCIe 4",
    "interconnect_gbs": 64,
    "max_gpus": 4,
    "tdp_w": 240,
    "year": 2024,
    "source": "a made-up datasheet",
    "aliases": ["NVIDIA ZX 500 Turbo"],
}


def toml_of(value: object) -> str:
    """Return a value as TOML writes it."""
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return str(value)
    if isinstance(value, float) and value != value:
        return "nan"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_of, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def gpu_toml(name: str = NAME, *, short_names: bool = False, **changes: Any) -> str:
    """Return a file of one GPU; a key that is changed to None is left out."""
    sheet = {k: v for k, v in (SHEET | changes).items() if v is not None}
    lines = [f"[gpus.{json.dumps(name)}]", *(f"{k} = {toml_of(v)}" for k, v in sheet.items())]
    if short_names:
        lines += ["[short_names]", f'"ZX" = [{json.dumps(name)}, "L4"]']
    return "\n".join(lines) + "\n"


def write_gpus(path: Path, *texts: str) -> Path:
    """Write a file of GPUs, by default of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(texts or (gpu_toml(),)), encoding="utf-8")
    return path
