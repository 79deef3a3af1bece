"""Where a document goes: one HTML file, Markdown with its pictures, or a folder with both."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotune.views.charts import png
from autotune.views.pages.document import Document, Figure
from autotune.views.pages.html import render_html


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Files of one document; the first is the one to open."""

    files: tuple[Path, ...]
    summary: str = ""

    @property
    def markdown(self) -> Path | None:
        """The Markdown file, if there is one."""
        return next((path for path in self.files if path.suffix == ".md"), None)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        pictures = [str(path) for path in self.files if path.suffix == ".png"]
        pages = {path.suffix: str(path) for path in self.files if path.suffix != ".png"}
        return {
            "html": pages.get(".html"),
            "markdown": pages.get(".md"),
            "pictures": pictures,
            "summary": self.summary,
        }


def write_document(document: Document, output: Path, *, is_live: bool = True) -> Written:
    """Write a document.

    Args:
        output: A file ending in ``.html`` or ``.md`` (its pictures go beside it), or a folder for
            ``report.html``, ``report.md`` and the pictures.
        is_live: Whether the HTML's charts can be opened as interactive ones.
    """
    match output.suffix.lower():
        case ".html":
            return Written(files=(_write(output, render_html(document, is_live=is_live)),))
        case ".md":
            return Written(files=_write_markdown(document, output, prefix=f"{output.stem}-"))
        case _:
            page = _write(output / "report.html", render_html(document, is_live=is_live))
            return Written(files=(page, *_write_markdown(document, output / "report.md")))


def _write_markdown(document: Document, path: Path, prefix: str = "") -> tuple[Path, ...]:
    """Write the text, and each picture beside it."""
    text = _write(path, render_markdown(document, prefix))
    pictures = (
        png.draw(figure.chart, path.with_name(f"{prefix}{figure.name}.png"))
        for figure in document.figures
    )
    return (text, *pictures)


def render_markdown(document: Document, prefix: str = "") -> str:
    """Return the document as Markdown; each picture is ``PREFIX`` + its name + ``.png``."""
    blocks = [
        f"![{_plain(block.chart.alt)}]({prefix}{block.name}.png)"
        if isinstance(block, Figure)
        else block
        for block in document.blocks
    ]
    return "\n\n".join([f"# {document.title}", *blocks]) + "\n"


def _plain(text: str) -> str:
    return text.replace("[", "(").replace("]", ")").replace("\n", " ")


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
