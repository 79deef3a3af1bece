"""How answers show themselves in a notebook; who draws them says so here, and lies further out."""

import functools


@functools.singledispatch
def notebook_html(answer: object) -> str:
    """Return an answer as HTML; types are registered beside the code that draws them."""
    raise TypeError(f"nothing draws {type(answer).__name__}")


class InNotebook:
    """Shown in a notebook by what is registered for its type."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return notebook_html(self)
