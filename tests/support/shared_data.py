"""Published data beside the project, where a workplace has it; it is no part of the project."""

import os
from pathlib import Path

import pytest

from tests.support import ROOT

DATA = Path(os.environ.get("AUTOTUNE_SHARED_DATA", ROOT.parent / "shared" / "data")).resolve()
INFPOP = DATA / "infpop"
needs_infpop = pytest.mark.skipif(
    not (INFPOP / "allData.csv").is_file(),
    reason=f"the replication files of arXiv 2408.01050 are not at {INFPOP}",
)
