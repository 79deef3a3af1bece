#!/usr/bin/env bash
# pytest 9.2.0 with pytest-xdist 3.8.0: `--dist loadgroup` groups nothing, and says nothing.
#
# The marker xdist_group promises that the tests of a group run on one worker. With pytest 9.1.1 the
# eight tests below do. With pytest 9.2.0 they are shared out over both workers, four and four, with no
# warning: what a group shares (a server, a port, a file) is then used by two processes at a time.
#
# Seen on Python 3.11.7, Linux x86-64:
#   pytest 9.1.1: 1 worker(s)
#   pytest 9.2.0: 2 worker(s)
# Exits 1 when either changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
cat >test_group.py <<'END'
import pytest


@pytest.mark.xdist_group("together")
@pytest.mark.parametrize("number", range(8))
def test_one_of_a_group(number, worker_id, tmp_path_factory):
    shared = tmp_path_factory.getbasetemp().parent / "workers.txt"
    with shared.open("a") as file:
        file.write(worker_id + "\n")
END
workers() {
  venv/bin/pip install --quiet --disable-pip-version-check "pytest==$1" pytest-xdist==3.8.0
  rm -rf base
  venv/bin/python -m pytest -q -n 2 --dist loadgroup -p no:cacheprovider --basetemp=base \
    test_group.py >log 2>&1 || { cat log; exit 2; }
  sort -u base/workers.txt | wc -l
}
status=0
for expected in "9.1.1 1" "9.2.0 2"; do
  read -r version count <<<"$expected"
  found=$(workers "$version")
  echo "pytest $version: $found worker(s)"
  [ "$found" = "$count" ] || { echo "expected $count"; status=1; }
done
exit $status
