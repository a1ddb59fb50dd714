"""Pictures of confidence: whether it can be believed, and what it is worth to decline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from service.evaluation.metrics import Bin, Operation

DOTS_PER_INCH = 110
INCHES = (4.6, 4.2)


def draw_reliability(path: Path, curves: Mapping[str, Sequence[Bin]]) -> None:
    """On the diagonal a confidence is the share that is right."""
    figure, axes = _sheet("confidence", "share right")
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1, label="perfectly calibrated")
    for name, bins in curves.items():
        axes.plot([one.confidence for one in bins], [one.right for one in bins], marker="o", markersize=4, label=name)
    _save(figure, axes, path)


def draw_risk_coverage(path: Path, curves: Mapping[str, Sequence[Operation]], *, now: Operation | None = None) -> None:
    """How many of the answers are wrong when only the most confident ones are given; `now`: as the service stands."""
    figure, axes = _sheet("share of the questions answered", "share wrong of what is answered")
    for name, operations in curves.items():
        axes.step([one.coverage for one in operations], [one.risk for one in operations], where="pre", label=name)
    if now is not None:
        axes.plot([now.coverage], [now.risk], marker="o", color="black", linestyle="none", label="at the threshold")
    _save(figure, axes, path)


def _sheet(horizontal: str, vertical: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=horizontal, ylabel=vertical)
    axes.grid(color="0.9")
    return figure, axes


def _save(figure: Figure, axes: Axes, path: Path) -> None:
    axes.legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=DOTS_PER_INCH, metadata={"Software": None})
