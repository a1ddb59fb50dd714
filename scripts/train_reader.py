#!/usr/bin/env python3
"""Train the span reader, from the weights of all-MiniLM-L6-v2 and with a larger model as its teacher.

prepare   asks the questions of their own texts and makes examples of what is found: an hour, where the data are
teach     trains the teacher and has it judge every example: 5 minutes on an H100, days without an accelerator
fit       trains the reader on the labels and, where there is a teacher, on its judgement: 4 minutes there
ship      makes the reader that ships of it
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

if TYPE_CHECKING:
    from service.training.batches import PackedTensors
    from service.training.loop import Plan, Progress
    from service.training.model import SpanReader

DRAWS = ("draw-0.npz", "draw-1.npz")
HELD_OUT_FOUND, HELD_OUT_PARAGRAPHS = "held-out-found.npz", "held-out-paragraphs.npz"
PACKED = (*DRAWS, HELD_OUT_FOUND, HELD_OUT_PARAGRAPHS)
TEACHER, READER = "teacher.safetensors", "reader.safetensors"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(required=True, metavar="STEP")
    for step, needs in ((prepare, ("data",)), (teach, ("model", "words")), (fit, ("model",)), (ship, ("data",))):
        own = steps.add_parser(step.__name__, help=step.__doc__)
        own.set_defaults(step=step)
        own.add_argument("--work", type=Path, required=True, metavar="DIR", help="where each step leaves its result")
        if "data" in needs:
            own.add_argument("data", type=Path, metavar="DATA", help="folder with reading/ and verify/")
        if "model" in needs:
            own.add_argument("model", type=Path, metavar="MODEL", help="folder of the model to start from")
            own.add_argument("--passes", type=float, metavar="COUNT", help="over a draw of the examples")
        if "words" in needs:
            own.add_argument(
                "words", type=Path, metavar="WORDS", help="folder of the model that the reader starts from"
            )
    options = parser.parse_args()
    options.step(options)
    return 0


def prepare(options: argparse.Namespace) -> None:
    """Search, and pack examples."""
    from service.training import mixture, searching

    def report(name: str, of: int, done: int) -> None:
        if done % 1000 == 0 or done == of:
            print(f"{name}: {done:,} of {of:,} questions searched", flush=True)

    sets = mixture.searched_sets(options.data)
    options.work.mkdir(parents=True, exist_ok=True)
    missing = {name: asked for name, asked in sets.items() if not _searched(options.work, name).exists()}
    # In a folder that ends with the run: what a run that was cut off put there is in nobody's way.
    with TemporaryDirectory(dir=options.work) as store:
        for name, examples in searching.search(missing, Path(store), report=report):
            searching.write(examples, _searched(options.work, name))
    with ProcessPoolExecutor() as pool:
        for said in pool.map(_packed, [options.data] * len(PACKED), [options.work] * len(PACKED), PACKED):
            print(said, flush=True)


def _packed(data: Path, work: Path, name: str) -> str:
    from embeddings.encoders.compiled import DEFAULT_MODEL, TOKENIZER
    from service.answering.readers.compilation import LONGEST
    from service.answering.readers.inputs import ReaderTokenizer
    from service.training import mixture, searching
    from service.training.packing import pack

    searched = {name: searching.read(_searched(work, name)) for name in mixture.searched_sets(data)}
    if name == HELD_OUT_FOUND:
        examples = mixture.held_out_examples(searched)
    elif name == HELD_OUT_PARAGRAPHS:
        examples = mixture.held_out_paragraphs(data)
    else:
        examples = mixture.training_examples(data, searched, draw=DRAWS.index(name))
    tokenizer = ReaderTokenizer((DEFAULT_MODEL / TOKENIZER).read_text("utf-8"), max_tokens=LONGEST)
    packed = pack(examples, tokenizer)
    packed.save(work / name)
    return f"{name}: {len(examples):,} examples, {len(packed.tokens):,} tokens"


def teach(options: argparse.Namespace) -> None:
    """Train the teacher, and have it judge every example."""
    from service.training import loop

    plan = _plan(loop.TEACHER, options)
    reader = loop.with_words_of(loop.new_reader(options.model, plan), options.model, options.words)
    draws = [_tensors(options.work / name) for name in DRAWS]
    loop.train(reader, draws, plan, checkpoint=options.work / "teaching.safetensors", report=_report)
    loop.save(reader, options.work / TEACHER)
    _measure(reader, options.work)
    for number, draw in enumerate(draws):
        loop.teach(reader, draw, plan).save(options.work / f"taught-{number}.safetensors")
        print(f"draw {number} judged", flush=True)


def fit(options: argparse.Namespace) -> None:
    """Train the reader."""
    from service.training import loop
    from service.training.batches import Taught

    draws = [_tensors(options.work / name) for name in DRAWS]
    files = [options.work / f"taught-{number}.safetensors" for number in range(len(draws))]
    is_taught = all(file.exists() for file in files)
    plan = _plan(loop.READER if is_taught else replace(loop.READER, taught_share=0.0), options)
    taught = [Taught.load(draw, file) for draw, file in zip(draws, files, strict=True)] if is_taught else []
    reader = loop.new_reader(options.model, plan)
    checkpoint = options.work / "fitting.safetensors"
    loop.train(reader, draws, plan, checkpoint=checkpoint, report=_report, taught=taught)
    loop.save(reader, options.work / READER)
    _measure(reader, options.work)


def ship(options: argparse.Namespace) -> None:
    """Make the reader that ships."""
    from embeddings.encoders.compilation import default_model
    from embeddings.encoders.compiled import DEFAULT_MODEL, TOKENIZER
    from service.answering.readers.compilation import compile_reader
    from service.answering.readers.confidence import Confidence
    from service.answering.readers.span import CONFIDENCE, SHIPPED
    from service.training import loop
    from service.training.mixture import samples

    reader = loop.new_reader(default_model(), loop.READER)
    loop.load(reader, options.work / READER)
    fitted = SHIPPED / CONFIDENCE
    compile_reader(
        reader,
        (DEFAULT_MODEL / TOKENIZER).read_text("utf-8"),
        SHIPPED,
        name="span-minilm",
        source="trained by scripts/train_reader.py from all-MiniLM-L6-v2; see MODEL_CARD.md",
        license_name="Apache-2.0",
        confidence=Confidence.load(fitted) if fitted.exists() else Confidence.plain(),
        samples=samples(options.data),
    )
    print(f"compiled into {SHIPPED}; fit its confidence next: scripts/fit_reader_confidence DATA")


def _searched(work: Path, name: str) -> Path:
    return work / f"{name}.jsonl.gz"


def _plan(plan: Plan, options: argparse.Namespace) -> Plan:
    return replace(plan, passes=options.passes or plan.passes)


def _tensors(path: Path) -> PackedTensors:
    import torch

    from service.training.batches import PackedTensors
    from service.training.packing import Packed

    return PackedTensors(Packed.load(path), torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def _measure(reader: SpanReader, work: Path) -> None:
    from service.training.measuring import measure

    for name in (HELD_OUT_FOUND, HELD_OUT_PARAGRAPHS):
        print(name, json.dumps(asdict(measure(reader, _tensors(work / name)))), flush=True)


def _report(progress: Progress) -> None:
    print(
        f"step {progress.step} of {progress.steps}: loss {progress.loss:.3f}, "
        f"{progress.tokens_per_second:,.0f} tokens/s",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
