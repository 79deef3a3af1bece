"""What the site shows beside docs/: the README as its first page, and whatever pages link to.

Pages link to files of the repository by relative paths, as the repository's own viewer follows
them. Here each such file becomes part of the site, and its links are turned towards its new place.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<=\]\()(?![a-z]+:)([^)#\s]+)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the README and every file outside docs/ that a page links to."""
    waiting = ["README.md", *(f"docs/{page.src_uri}" for page in files.documentation_pages())]
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        if not path.startswith("docs/"):
            files.append(File.generated(config, _place(path), abs_src_path=str(ROOT / path)))
        if path.endswith(".md"):
            text = (ROOT / path).read_text(encoding="utf-8")
            linked = {_target(path, link) for link in LINK.findall(text)} - seen
            seen |= linked
            waiting += sorted(linked)
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn a page's links from the repository's layout to the site's."""
    here = page.file.src_uri
    source = Path(page.file.abs_src_path or "").resolve().relative_to(ROOT).as_posix()

    def turned(match: re.Match[str]) -> str:
        return posixpath.relpath(_place(_target(source, match[0])), posixpath.dirname(here) or ".")

    return LINK.sub(turned, markdown)


def _target(path: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def _place(path: str) -> str:
    return "index.md" if path == "README.md" else path.removeprefix("docs/")
