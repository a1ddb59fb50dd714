#!/usr/bin/env python3
"""Train the span reader on public data, from the weights of all-MiniLM-L6-v2: some three hours on two cores."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# glibc is told to keep its memory: with its defaults a step takes three times as long.
ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "68719476736",
    "MALLOC_TOP_PAD_": "268435456",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, metavar="DATA", help="folder with reading/ and verify/")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="for checkpoints; a run is continued")
    parser.add_argument("--most", type=int, metavar="COUNT", help="of examples in an epoch (default: all)")
    parser.add_argument("--epochs", type=int, default=3, metavar="COUNT", help="(default: %(default)s)")
    parser.add_argument("--compile", action="store_true", help="make the mean of the last epochs the reader that ships")
    options = parser.parse_args()
    if options.compile:
        compile_checkpoint(options.data, options.work)
        return 0
    if "RANK" not in os.environ:
        processes = ["-m", "torch.distributed.run", "--nproc-per-node", str(os.cpu_count() or 1), *sys.argv]
        os.execve(sys.executable, [sys.executable, *processes], {**os.environ, **ENVIRONMENT})
    train(options)
    return 0


def train(options: argparse.Namespace) -> None:
    """In one of as many processes as there are cores."""
    import torch

    from embeddings.encoders.compilation import default_model
    from embeddings.encoders.compiled import DEFAULT_MODEL, TOKENIZER
    from service.answering.readers.compilation import LONGEST
    from service.answering.readers.inputs import ReaderTokenizer
    from service.training import loop
    from service.training.mixture import training_examples

    def report(progress: loop.Progress) -> None:
        left = (progress.steps - progress.step) / max(1, progress.step)
        print(
            f"epoch {progress.epoch + 1}, step {progress.step} of {progress.steps}: loss {progress.loss:.3f}, "
            f"{progress.tokens_per_second:.0f} tokens/s, {left:.2f} of the time so far left",
            flush=True,
        )

    torch.distributed.init_process_group("gloo")
    torch.set_num_threads(1)
    tokenizer = ReaderTokenizer((DEFAULT_MODEL / TOKENIZER).read_text("utf-8"), max_tokens=LONGEST)
    reader = loop.new_reader(default_model())
    for epoch in range(max(0, loop.epochs_begun(options.work) - 1), options.epochs):
        examples = training_examples(options.data, epoch=epoch)[: options.most]
        loop.train(reader, examples, tokenizer, options.work, epoch=epoch, report=report)


def compile_checkpoint(data: Path, work: Path) -> None:
    from embeddings.encoders.compilation import default_model
    from embeddings.encoders.compiled import DEFAULT_MODEL, TOKENIZER
    from service.answering.readers.compilation import compile_reader
    from service.answering.readers.confidence import Confidence
    from service.answering.readers.span import CONFIDENCE, SHIPPED
    from service.training import loop
    from service.training.mixture import samples

    reader = loop.new_reader(default_model(), attention="sdpa")
    reader.load_state_dict(loop.average(work))
    fitted = SHIPPED / CONFIDENCE
    compile_reader(
        reader,
        (DEFAULT_MODEL / TOKENIZER).read_text("utf-8"),
        SHIPPED,
        name="span-minilm",
        source="trained by scripts/train_reader.py from all-MiniLM-L6-v2; see MODEL_CARD.md",
        license_name="Apache-2.0",
        confidence=Confidence.load(fitted) if fitted.exists() else Confidence.plain(),
        samples=samples(data),
    )
    print(f"compiled into {SHIPPED}; fit its confidence next: scripts/fit_reader_confidence DATA")


if __name__ == "__main__":
    sys.exit(main())
