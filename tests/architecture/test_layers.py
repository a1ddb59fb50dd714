from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# In a process of its own: import-linter silences the loggers of the process it runs in.
CHECK_CONTRACTS = """
import sys
from importlinter.cli import lint_imports
sys.exit(lint_imports(no_cache=True, no_logo=True))
"""

REPORT_HEAVY = """
import sys
import service.bootstrap
print(*sorted({"torch", "transformers", "sentence_transformers"} & set(sys.modules)))
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)


def test_import_contracts_hold() -> None:
    checked = run(CHECK_CONTRACTS)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_serving_imports_neither_torch_nor_transformers() -> None:
    finished = run(REPORT_HEAVY)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split() == []
