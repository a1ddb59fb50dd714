"""The scripts themselves, in a small clone whose lock is empty and whose service prints its arguments."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [
    "serve",
    "loccit",
    "test",
    "check",
    "lock",
    "evaluate",
    "benchmark",
    "compare_txtai",
    "profile",
    "torture",
    "measure_load",
    "fuzz",
    "write_api_examples",
]
TOOLS = ["bash", "basename", "cat", "dirname", "grep", "ls", "mkdir", "mktemp", "readlink", "rm", "sed", "tail"]
SERVICE = "import os, sys\nprint(sys.argv[1:], os.environ['LOCCIT_DATA'])\n"
OFFLINE = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_FIND_LINKS": "",
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_RETRIES": "1",
}


def run(
    command: Sequence[str | Path], *, cwd: Path = ROOT, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("LOCCIT_")}
    own |= environment or {}
    return subprocess.run(command, cwd=cwd, env=own, capture_output=True, text=True, timeout=120)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clone:
    root: Path

    @property
    def serve(self) -> Path:
        return self.root / "scripts" / "serve"

    @property
    def environment(self) -> Path:
        return self.root / ".venv-serve"

    @property
    def lock(self) -> Path:
        return self.root / "requirements" / "serve.lock"


def make_clone(root: Path) -> Clone:
    shutil.copytree(ROOT / "scripts", root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    files = {"requirements/serve.lock": "", "service/__init__.py": "", "service/__main__.py": SERVICE}
    for path, content in files.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(content)
    return Clone(root=root)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return make_clone(tmp_path / "clone")


@pytest.fixture(scope="module")
def served_clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    clone = make_clone(tmp_path_factory.mktemp("served") / "clone")
    finished = run([clone.serve])
    assert finished.returncode == 0, finished.stderr
    return clone


def path_with(folder: Path, programs: Mapping[str, str]) -> str:
    """A PATH with what the scripts need of a system, these programs, and no Python."""
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (folder / tool).symlink_to(found)
    for name, content in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{content}\n")
        (folder / name).chmod(0o755)
    return str(folder)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_explains_itself_from_any_folder(script: str, tmp_path: Path) -> None:
    finished = run([ROOT / "scripts" / script, "--help"], cwd=tmp_path)
    assert finished.returncode == 0
    assert finished.stdout.startswith(f"usage: scripts/{script}")
    assert finished.stderr == ""


@pytest.mark.parametrize("script", ["serve", "check", "lock"])
def test_an_unknown_option_is_refused_in_one_line(script: str, clone: Clone) -> None:
    finished = run([clone.root / "scripts" / script, "--nonsense"])
    assert finished.returncode == 2
    assert finished.stderr == f"{script}: unknown option --nonsense (see --help)\n"
    assert not clone.environment.exists()


def test_an_option_without_its_value_is_refused(clone: Clone) -> None:
    finished = run([clone.serve, "--port"])
    assert finished.returncode == 2
    assert finished.stderr == "serve: --port needs a value (see --help)\n"


@pytest.mark.parametrize(
    ("programs", "advice"),
    [
        ({}, "Python 3.11 or later is needed, and none was found"),
        ({"python3": "echo old 3.9"}, "Python 3.11 or later is needed, and python3 is older"),
        ({"python3": "exit 127"}, "Python 3.11 or later is needed, and none was found"),
        ({"python3": "echo bare"}, "sudo apt install python3-venv"),
        ({"python3": "echo old 3.9", "python3.12": "echo bare"}, "sudo apt install python3.12-venv"),
    ],
    ids=["missing", "old", "broken", "without venv", "old and without venv"],
)
def test_a_missing_python_is_said_in_one_line(
    programs: dict[str, str], advice: str, clone: Clone, tmp_path: Path
) -> None:
    finished = run([clone.serve], environment={"PATH": path_with(tmp_path / "bin", programs)})
    assert finished.returncode == 1
    assert advice in finished.stderr
    assert finished.stderr.count("\n") == 1


def test_a_folder_that_is_no_environment_is_left_alone(clone: Clone, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    letter = tmp_path / "letters" / "letter.txt"
    letter.write_text("kept")
    finished = run([clone.serve], environment={"LOCCIT_ENVIRONMENT": str(letter.parent)})
    assert finished.returncode == 1
    assert "holds something else" in finished.stderr
    assert letter.read_text() == "kept"


@pytest.mark.slow
def test_two_first_starts_at_once_make_one_environment(clone: Clone) -> None:
    starts = [
        subprocess.Popen([clone.serve], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    errors = [start.communicate(timeout=120)[1] for start in starts]
    assert [start.returncode for start in starts] == [0, 0]
    assert sum("making a virtual environment" in error for error in errors) == 1


@pytest.mark.slow
def test_a_later_start_sets_nothing_up_and_passes_its_options_on(served_clone: Clone, tmp_path: Path) -> None:
    finished = run([served_clone.serve, "--port", "9", "--data=d"], cwd=tmp_path)
    assert finished.stderr == ""
    assert finished.stdout == f"['serve', '--port', '9', '--data=d'] {served_clone.root / '.loccit'}\n"


@pytest.mark.slow
def test_a_folder_named_service_beside_the_caller_is_not_started(served_clone: Clone, tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "__main__.py").write_text("print('the wrong one')")
    assert "serve" in run([served_clone.serve], cwd=tmp_path).stdout


@pytest.mark.slow
def test_a_changed_lock_makes_the_environment_anew_as_soon_as_the_index_is_in_reach(served_clone: Clone) -> None:
    served_clone.lock.write_text(f"numpy==2.4.6 --hash=sha256:{'0' * 64}\n")
    finished = run([served_clone.serve], environment=OFFLINE)
    assert finished.returncode == 1
    assert "pip cannot reach the package index" in finished.stderr
    served_clone.lock.write_text("# changed\n")
    assert "making a virtual environment" in run([served_clone.serve]).stderr
    assert run([served_clone.serve]).stderr == ""
