"""Which tests stay together on one worker of pytest-xdist: a file's, for its fixtures.

Beyond that, what shares a dear fixture over several files, or starts the same engine, is one group;
and files whose tests share nothing are spread, each test where there is room. The groups are told
from the tests' ids: with pytest 9.2 the marker `xdist_group` of pytest-xdist 3.8 groups nothing.
"""

import re
from collections.abc import Mapping

from xdist.scheduler import LoadScopeScheduling

GROUPS: Mapping[str, str] = {
    "demo": r"tests/(browser/|integration/test_demo\.py)",
    "vllm": r"tests/(integration/test_serving\.py|contract/test_engines\.py.*vllm)",
    "hf": r"tests/contract/test_engines\.py",
    "alone": r"tests/integration/test_engine_reuse\.py",
}
SPREAD = re.compile(
    r"tests/(integration/test_(search|cli_refusals|study)"
    r"|faults/test_(killed|disks|engines|files|gpu_queries)|security/test_secrets)\.py"
)


class GroupScheduling(LoadScopeScheduling):
    """Hands out groups in the order of their first tests."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """Return the group of a test."""
    for name, pattern in GROUPS.items():
        if re.match(pattern, nodeid):
            return name
    return nodeid if SPREAD.match(nodeid) else nodeid.partition("::")[0]
