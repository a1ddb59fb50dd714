from __future__ import annotations

import signal
from typing import Any

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts the tests in the background has them ignore it, and all that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)

LONG = (
    "integration/test_compilation.py",
    "integration/test_torture.py",
    "integration/test_disk_failures.py",
    "api/test_cli.py",
    "integration/test_evaluating.py",
    "integration/test_fuzzing.py",
    "properties/test_collection_model.py",
    "browser/test_page.py",
    "integration/test_crash.py",
    "integration/test_scripts.py",
    "integration/test_resuming.py",
    "integration/test_service_crash.py",
)
"""Files that take the longest: begun first, so that no core works on one of them while the others have nothing left."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get("/".join(item.path.parts[-2:]), len(LONG)))


WITH_TORCH = (
    "tests/contracts/test_encoders.py",
    "tests/integration/test_compilation.py",
    "tests/integration/test_reader_compilation.py",
    "tests/unit/test_training.py",
)
"""Files for one and the same core, since torch takes long to import."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    from xdist.scheduler import LoadFileScheduling

    class FilesTogether(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return "torch" if file in WITH_TORCH else file

    return FilesTogether(config, log)
