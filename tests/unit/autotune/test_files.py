"""File names stay in their folder, and different texts get different ones."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from autotune.files import file_name


@given(st.text(max_size=300))
def test_a_file_name_names_one_file_in_its_folder(text: str) -> None:
    name = file_name(text)
    path = Path("/folder") / name
    assert path.parent == Path("/folder")
    assert name not in ("", ".", "..")
    assert len(name.encode()) < 200
    assert name.isascii()
    assert file_name(name) == name


@given(st.text(max_size=30), st.text(max_size=30))
def test_two_texts_have_two_file_names(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) == (one == other) or file_name(one) in (one, other)


def test_what_is_a_file_name_already_stays() -> None:
    assert file_name("20260101-000000-abcdef") == "20260101-000000-abcdef"
    assert file_name("vllm-CPU:amd-epyc-2c") == "vllm-CPU:amd-epyc-2c"
    assert file_name("../../etc/passwd").startswith("etc-passwd-")
