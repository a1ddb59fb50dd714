"""Opens a compiled model with ONNX Runtime, as this processor computes it truly and fast."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import onnxruntime

ADD_IN_32_BITS = frozenset({"amx_int8", "avx512_vnni", "avx_vnni"})
"""Processors with one of these flags."""


def open_session(model: Path) -> onnxruntime.InferenceSession:
    """One thread a run: callers bring their own. The graph is fused at compilation.

    By its path: of a model that is handed over in memory, ONNX Runtime keeps all bytes beside the weights made of them.
    """
    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.add_session_config_entry("session.x64quantprecision", str(int(products_may_overflow(_processor()))))
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def products_may_overflow(processor: str) -> bool:
    """Whether the processor of this /proc/cpuinfo, or an unknown one, may add pairs of 8-bit products in 16 bits.

    For such, ONNX Runtime has to be told to take the weights as unsigned, among its extended optimisations; then it
    adds in 32 bits. It looks by itself whether that is needed, but takes AMX for a processor that needs it, which is
    then two to three times slower.
    """
    flags = re.search(r"^flags\s*:(.*)$", processor, re.MULTILINE)
    return flags is None or ADD_IN_32_BITS.isdisjoint(flags.group(1).split())


def _processor() -> str:
    try:
        return Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return ""
