"""A document as one HTML file that needs no other: pictures inside, charts live where scripts run.

Tables and pictures are plain HTML. The script adds, below each picture, the same chart to be
hovered and zoomed; without a script nothing is missing.
"""

import base64
import html
import re
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML

from autotune.views.charts import png
from autotune.views.charts.model import Picture
from autotune.views.pages.document import Document, Figure

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 0; }
main { max-width: 70rem; margin: 0 auto; padding: 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #767676; }
a { color: #0b57a4; } .skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-size: .9rem; }
th, td { border: 1px solid #767676; padding: .25rem .6rem; text-align: left; }
th { background: #eee; } pre { background: #f3f3f3; padding: .8rem; overflow-x: auto; }
nav ul { padding: 0; } nav li { display: inline-block; margin-right: 1.2rem; }
figure { margin: 1.5rem 0; } figure img { max-width: 100%; height: auto; }
figcaption { color: #444; font-size: .9rem; max-width: 50rem; }
@media print { nav, .live { display: none; } h2, figure, tr { break-inside: avoid; } }
"""
_SCRIPT = """
(async () => {
  const packed = document.getElementById("plotly").textContent;
  const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
  for (const block of document.querySelectorAll(".live")) {
    block.hidden = false;
    block.addEventListener("toggle", () => {
      const place = block.querySelector(".plot");
      if (!block.open || place.dataset.drawn) return;
      const chart = JSON.parse(block.querySelector("script").textContent);
      Plotly.newPlot(place, chart.data, chart.layout, { responsive: true, displaylogo: false });
      place.dataset.drawn = "yes";
    });
  }
})();
"""
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


def render_html(document: Document, *, is_live: bool = True) -> str:
    """Return the document as a page.

    Args:
        is_live: Whether charts can be opened as interactive ones (adds 2 MB of script).
    """
    seen: dict[str, int] = {}
    first, *rest = (
        _figure(block, is_live=is_live) if isinstance(block, Figure) else markdown(block, seen)
        for block in document.blocks
    )
    body = "\n".join([first, _contents(document), *rest])
    title = html.escape(document.title)
    page = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style></head>\n"
        '<body><a class="skip" href="#content">Skip to the content</a>\n'
        f'<main id="content"><h1>{title}</h1>\n{body}\n</main>\n'
    )
    return f"{page}{_scripts(document) if is_live else ''}</body></html>\n"


def render_fragment(document: Document) -> str:
    """Return the document's blocks without a page around them, as a notebook shows them."""
    seen: dict[str, int] = {}
    return "\n".join(
        _figure(block, is_live=False) if isinstance(block, Figure) else markdown(block, seen)
        for block in document.blocks
    )


def _contents(document: Document) -> str:
    headings = [h for b in document.blocks if isinstance(b, str) for h in _HEADING.findall(b)]
    items = "".join(f'<li><a href="#{_anchor(h)}">{html.escape(h)}</a></li>' for h in headings)
    return f'<nav aria-label="Contents"><ul>{items}</ul></nav>' if items else ""


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")


def markdown(text: str, seen: dict[str, int] | None = None) -> str:
    """Return Markdown as HTML; HTML in it is shown, not obeyed.

    Args:
        seen: Counts the page's tables, which are read out by their numbers.
    """
    return str(_reader().render(text, {} if seen is None else seen))


def _reader() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    reader.add_render_rule("heading_open", _open_heading)
    reader.add_render_rule("table_open", _open_table)
    reader.add_render_rule("table_close", lambda *_: "</table></div>\n")
    reader.add_render_rule("th_open", _open_head)
    reader.add_render_rule("fence", _fence)
    return reader


def _open_heading(_: Any, tokens: Any, index: int, *__: Any) -> str:
    tag = tokens[index].tag
    return f'<{tag} id="{_anchor(tokens[index + 1].content)}">'


def _open_table(_: Any, __: Any, ___: int, ____: Any, seen: Any) -> str:
    """Open a table that can be scrolled with the keyboard where it is too wide."""
    seen["tables"] = seen.get("tables", 0) + 1
    name = f"Table {seen['tables']}"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{name}"><table>\n'


def _fence(renderer: Any, tokens: Any, index: int, options: Any, seen: Any) -> str:
    block = str(RendererHTML.fence(renderer, tokens, index, options, seen))
    return block.replace("<pre>", '<pre tabindex="0">', 1)


def _open_head(_: Any, tokens: Any, index: int, *__: Any) -> str:
    style = tokens[index].attrs.get("style")
    return f'<th scope="col" style="{style}">' if style else '<th scope="col">'


def _figure(figure: Figure, *, is_live: bool) -> str:
    picture = base64.b64encode(png.render(figure.chart)).decode()
    alt = html.escape(figure.chart.alt, quote=True)
    return (
        f'<figure id="{figure.name}"><img alt="{alt}" src="data:image/png;base64,{picture}">\n'
        f"<figcaption>{html.escape(figure.chart.title)}</figcaption>\n"
        f"{_live(figure) if is_live else ''}</figure>"
    )


def _live(figure: Figure) -> str:
    from autotune.views.charts.interactive import figure_json

    if isinstance(figure.chart, Picture):
        return ""
    return (
        '<details class="live" hidden><summary>Interactive chart: '
        f'{html.escape(figure.chart.title)}</summary><div class="plot"></div>\n'
        f'<script type="application/json">{figure_json(figure.chart)}</script></details>\n'
    )


def _scripts(document: Document) -> str:
    if all(isinstance(figure.chart, Picture) for figure in document.figures):
        return ""
    from autotune.views.charts.interactive import packed_script

    packed = f'<script type="application/gzip" id="plotly">{packed_script()}</script>\n'
    return f"{packed}<script>{_SCRIPT}</script>\n"
