"""What the shell offers to complete: models, GPUs, and what the store has an id for."""

import click
from click.shell_completion import CompletionItem


def complete_model(_: click.Context, __: click.Parameter, text: str) -> list[CompletionItem]:
    """Offer the catalogue's models, also by the name without the organisation."""
    from autotune.catalog.models import load_models

    wanted = text.lower()
    return [
        CompletionItem(name)
        for name in load_models()
        if name.lower().startswith(wanted) or name.lower().rpartition("/")[2].startswith(wanted)
    ]


def complete_gpu(_: click.Context, __: click.Parameter, text: str) -> list[CompletionItem]:
    """Offer the catalogue's GPUs."""
    from autotune.catalog.gpus import load_gpus

    wanted = text.lower()
    return [CompletionItem(name) for name in load_gpus() if name.lower().startswith(wanted)]


def complete_reference(_: click.Context, __: click.Parameter, text: str) -> list[CompletionItem]:
    """Offer the recommendations and studies that lie beside the default store, the latest first."""
    from autotune.store.cache import default_uri, store_directory

    directory = store_directory(default_uri())
    kept = [
        *(p for p in directory.glob("recommendations/*.json") if "-" not in p.stem),
        *directory.glob("journals/*.jsonl"),
    ]
    latest = sorted(kept, key=lambda p: p.stat().st_mtime, reverse=True)
    return [CompletionItem(path.stem) for path in latest if path.stem.startswith(text)]
