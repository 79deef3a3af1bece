"""What an hour of a GPU costs, as the user says it; no price is known here."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from autotune.catalog.gpus import find_gpu
from autotune.errors import InvalidConfigError
from autotune.files import read_yaml
from autotune.schema.validation import check_positive

_TOKENS = 1e6
_SECONDS_AN_HOUR = 3600.0


def dollars_per_mtok(dollars_an_hour: float, n_gpus: int, output_throughput: float) -> float:
    """Return what a million generated tokens cost.

    Args:
        dollars_an_hour: Of one GPU.
        output_throughput: Tokens/s of the n_gpus together.
    """
    return n_gpus * dollars_an_hour / (output_throughput * _SECONDS_AN_HOUR) * _TOKENS


def gather_prices(options: Sequence[str] = (), file: Path | None = None) -> dict[str, float]:
    """Return catalogue name -> dollars an hour of one GPU; an option wins over the file.

    Args:
        options: ``H100=2.9`` each, by any name of the catalogue.
        file: YAML or JSON, a mapping of the same.

    Raises:
        UnknownGpuError: For a GPU that the catalogue does not hold.
        InvalidConfigError: For a price that is none, a GPU priced twice, or an unreadable file.
    """
    from_file = {} if file is None else _canonical(_read(file), str(file))
    pairs = [_split(option) for option in options]
    return from_file | _canonical(pairs, "--price")


def _split(option: str) -> tuple[str, object]:
    name, equals, text = option.partition("=")
    if not equals or not name.strip():
        raise InvalidConfigError(f"--price {option!r} must look like H100=2.9 ($ an hour of a GPU)")
    try:
        return name.strip(), float(text)
    except ValueError:
        return name.strip(), text


def _read(file: Path) -> list[tuple[str, object]]:
    data = read_yaml(file)
    if not isinstance(data, Mapping):
        raise InvalidConfigError(f"{file} must map GPU names to $ an hour, as in `H100: 2.9`")
    return [(str(name), value) for name, value in data.items()]


def _canonical(pairs: Sequence[tuple[str, object]], where: str) -> dict[str, float]:
    prices: dict[str, float] = {}
    for name, value in pairs:
        check_positive(f"{where}: price of {name}", value)
        assert isinstance(value, int | float)
        gpu = find_gpu(name).name
        if prices.setdefault(gpu, float(value)) != float(value):
            raise InvalidConfigError(
                f"{where}: {gpu} is priced twice, at ${prices[gpu]:g} and ${value:g} an hour"
            )
    return prices
