"""File names from names that others chose: they stay in the folder they are put in."""

import hashlib
import re

_UNSAFE = re.compile(r"[^A-Za-z0-9._:+=@-]+")
_LONGEST = 120


def file_name(text: str) -> str:
    """Return ``text`` where it can name a file anywhere, else what is left of it and a checksum.

    >>> file_name("20260101-000000-abcdef")
    '20260101-000000-abcdef'
    >>> file_name("../../etc/passwd")
    'etc-passwd-f0a6c4ad'
    """
    plain = _UNSAFE.sub("-", text).strip(".-")[:_LONGEST]
    if plain and plain == text:
        return text
    digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:8]
    return f"{plain}-{digest}" if plain else digest
