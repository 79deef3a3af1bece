"""``scripts/compare_answers``: what it masks, what it reports, how it ends."""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "compare_answers"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script, which has no suffix to be imported by."""
    loader = importlib.machinery.SourceFileLoader("compare_answers", str(SCRIPT))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[loader.name] = module  # its dataclass looks itself up
    loader.exec_module(module)
    return module


@pytest.fixture
def checkouts(tmp_path: Path) -> tuple[Path, Path]:
    """Two checkouts of a command line that tells a time, an id, its folder and one figure."""
    return _checkout(tmp_path / "one", 3.0), _checkout(tmp_path / "two", 3.0)


def _checkout(folder: Path, figure: float) -> Path:
    (folder / "autotune").mkdir(parents=True)
    (folder / "mlruns" / "reference").mkdir(parents=True)
    (folder / "autotune" / "__init__.py").touch()
    (folder / "autotune" / "cli.py").write_text(
        "import datetime, json, os, pathlib, secrets\n"
        "made = secrets.token_hex(6)\n"
        "path = pathlib.Path('mlruns', 'recommendations', made + '.json')\n"
        "path.parent.mkdir(parents=True, exist_ok=True)\n"
        "now = datetime.datetime.now(datetime.UTC).isoformat()\n"
        f"path.write_text(json.dumps({{'id': made, 'at': now, 'tok_s': {figure}}}, indent=1))\n"
        "print(made, 'made in', os.getcwd(), 'at', now)\n"
    )
    return folder


def mask(script: ModuleType, folder: Path, text: str) -> str:
    masked = script.Mask(folder.parent, folder)(text)
    assert isinstance(masked, str)
    return masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("at 2999-01-02T03:04:05.678+00:00.", "at <time>."),
        ("asked at 2999-01-02 03:04:05 UTC", "asked at <time> UTC"),
        ("study 29990102-030405-0b42bd done", "study <id 1> done"),
        ("run 1f3e3c2b124641ad880fc962afb856de", "run <id 1>"),
        ("a, b: " + "a" * 32 + ", " + "b" * 32 + ", " + "a" * 32, "a, b: <id 1>, <id 2>, <id 1>"),
        ("74 GB free for mlruns", "<n> GB free for mlruns"),
    ],
)
def test_what_no_two_answers_share_is_masked(
    script: ModuleType, tmp_path: Path, text: str, masked: str
) -> None:
    assert mask(script, tmp_path, text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "measured 2026-01-01T00:00:00+00:00",
        "study 20260101-000000-abcdef",
        "run_key 5a6e2150e2ce808f",
        '"output_throughput": 0.123456789012',
        '"n_params": 405853388800',
        "43.0 GB of weights",
    ],
)
def test_what_the_inputs_and_the_figures_say_stays(
    script: ModuleType, tmp_path: Path, text: str
) -> None:
    assert mask(script, tmp_path, text) == text


def test_an_id_is_masked_wherever_it_stands(script: ModuleType, tmp_path: Path) -> None:
    documents = tmp_path / "mlruns" / "recommendations"
    documents.mkdir(parents=True)
    (documents / "0123456789ab.json").touch()
    text = f"autotune report 0123456789ab --output {tmp_path}/report.html"
    assert mask(script, tmp_path, text) == "autotune report <id 1> --output <folder>/report.html"


def test_names_are_unique_and_come_after_what_they_need(script: ModuleType) -> None:
    seen: list[str] = []
    for question in script.QUESTIONS:
        assert question.steps
        assert question.name not in seen
        assert question.after is None or question.after in seen
        seen.append(question.name)
    assert len(seen) == 60


def test_equal_answers_end_with_0_and_their_count(
    script: ModuleType,
    checkouts: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(script, checkouts, monkeypatch) == 0
    assert capsys.readouterr().out == "questions=2 equal=2 different=0\n"


def test_another_figure_is_shown_and_ends_with_1(
    script: ModuleType,
    checkouts: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cli = checkouts[0] / "autotune" / "cli.py"
    cli.write_text(cli.read_text().replace("3.0", "3.1"))
    assert run(script, checkouts, monkeypatch) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "energy: different"
    assert lines[1:4] == [
        "  mlruns/recommendations/<id 1>.json",
        "    @@ -3,3 +3,3 @@",
        '      "at": "<time>",',
    ]
    assert '    - "tok_s": 3.0' in [line.replace("-  ", "- ") for line in lines]
    assert '    + "tok_s": 3.1' in [line.replace("+  ", "+ ") for line in lines]
    assert lines[-1] == "questions=2 equal=0 different=2"


def run(script: ModuleType, checkouts: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> int:
    """Ask two questions of two checkouts that need no inputs."""
    here, against = checkouts
    monkeypatch.setattr(script, "HERE", here)
    monkeypatch.setattr(script, "write_inputs", lambda folder: folder.mkdir())
    code = script.main(["--against", str(against), "--only", "energy", "goodput"])
    assert isinstance(code, int)
    return code


@pytest.mark.parametrize(
    "arguments", [[], ["--against", "no-such-folder"], ["--only", "no-such-question"]]
)
def test_wrong_usage_is_exit_2(
    script: ModuleType, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        script.main(arguments)
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err
