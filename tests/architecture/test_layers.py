from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# In a process of its own: import-linter silences the loggers of the process it runs in.
CHECK_CONTRACTS = """
import sys
from importlinter.cli import lint_imports
sys.exit(lint_imports(no_cache=True, no_logo=True))
"""

REPORT_HEAVY = """
import sys
import {module}
print(*sorted({{{heavy}}} & set(sys.modules)))
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)


def test_import_contracts_hold() -> None:
    checked = run(CHECK_CONTRACTS)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("service.bootstrap", '"torch", "transformers", "sentence_transformers"'),
        # Files are read in processes of their own, so the service need not hold what reads them.
        ("service.api.app", '"lxml", "markdown_it", "mammoth", "pptx", "openpyxl", "pypdfium2", "docutils"'),
        # The first file that is handed in waits until such a process has begun.
        ("embeddings.loaders.formats", '"numpy", "lxml", "markdown_it", "mammoth", "pptx", "openpyxl", "pypdfium2"'),
        # A command that finds a running service needs none of these, and people wait for it.
        ("service.cli", '"numpy", "faiss", "onnxruntime", "fastapi", "uvicorn"'),
    ],
)
def test_what_takes_seconds_to_import_is_left_out(module: str, heavy: str) -> None:
    finished = run(REPORT_HEAVY.format(module=module, heavy=heavy))
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split() == []
