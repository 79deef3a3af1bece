"""Where a file costs no disk: for tests that write thousands of small ones."""

from pathlib import Path

_PLACE = Path("/dev/shm")
# None where there is no such place: a temporary folder is as good, and slower.
MEMORY = _PLACE if _PLACE.is_dir() else None
