from __future__ import annotations

import pytest

from embeddings.encoders.compiled import DEFAULT_MODEL, MODEL
from embeddings.encoders.session import open_session, products_may_overflow

EPYC = "model name\t: AMD EPYC\nflags\t\t: fpu sse4_2 fma avx2\nbugs\t\t: spectre_v1\n"
XEON = "model name\t: Intel Xeon\nflags\t\t: fpu avx2 avx512f avx512_vnni amx_tile amx_int8\nvmx flags\t: vnmi\n"


@pytest.mark.parametrize(("processor", "expected"), [(EPYC, True), (XEON, False), ("", True)])
def test_only_processors_known_to_add_in_32_bits_are_trusted_with_signed_weights(
    processor: str, expected: bool
) -> None:
    assert products_may_overflow(processor) is expected


@pytest.mark.parametrize(("processor", "expected"), [(EPYC, "1"), (XEON, "0")])
def test_the_session_is_told(monkeypatch: pytest.MonkeyPatch, processor: str, expected: str) -> None:
    monkeypatch.setattr("embeddings.encoders.session._processor", lambda: processor)

    options = open_session(DEFAULT_MODEL / MODEL).get_session_options()

    assert options.get_session_config_entry("session.x64quantprecision") == expected
