"""Trains the reader on a CPU: checkpointed, and continued where it stopped.

Each core trains in a process of its own, and gradients are averaged after each step: threads that share every matrix
product wait for each other at every one, and several times as long when the machine has other work too.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import distributed

from service.answering.readers.inputs import ReaderTokenizer
from service.training.batches import batches
from service.training.examples import Example
from service.training.mixture import SEED
from service.training.model import Batch, SpanReader, loss

CHECKPOINT = "checkpoint.safetensors"
EPOCH = "epoch-{}.safetensors"
TOKENS_PER_BATCH = 4096
LEARNING_RATE = 1.2e-4
HEAD_LEARNING_RATE = 1e-3
WARM_UP = 0.05
LARGEST_GRADIENT = 1.0
STEPS_PER_CHECKPOINT = 250
STEPS_PER_REPORT = 25
AVERAGED = 2
"""Of the last epochs."""
LATER_EPOCHS = 0.5
"""Of the learning rate, at which each but the first starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    epoch: int
    """From 0."""
    step: int
    steps: int
    loss: float
    """Mean since the last report."""
    tokens_per_second: float


def new_reader(model: Path, *, attention: str = "eager") -> SpanReader:
    """The encoder of a sentence-transformers model, with new heads.

    Attention is computed by separate operators ("eager"), the quickest to train, or by a single one ("sdpa"), the
    quickest to run once exported.
    """
    from transformers import BertModel

    torch.manual_seed(SEED)
    # Dropout is off: it costs time, and in few epochs a small model does not overfit.
    encoder = BertModel.from_pretrained(
        model,
        add_pooling_layer=False,
        attn_implementation=attention,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return SpanReader(encoder, encoder.config.hidden_size)


def train(
    reader: SpanReader,
    examples: Sequence[Example],
    tokenizer: ReaderTokenizer,
    folder: Path,
    *,
    epoch: int,
    report: Callable[[Progress], None],
) -> None:
    """One epoch of the examples that fall to this process. What stands in `folder` is continued.

    Within each epoch the learning rate rises and falls to nothing: warm restarts (Loshchilov and Hutter 2017), so that
    the end of any epoch is a reader that could ship.
    """
    rank, workers = distributed.get_rank(), distributed.get_world_size()
    everything = list(
        batches(examples, tokenizer, tokens=TOKENS_PER_BATCH // workers, chance=random.Random(SEED + epoch))
    )
    steps = len(everything) // workers
    optimizer = _optimizer(reader)
    done = _resume(folder, reader, optimizer, epoch)
    highest = LATER_EPOCHS if epoch else 1.0
    started, seen, losses = time.monotonic(), 0, []
    for step, batch in itertools.islice(enumerate(everything[rank::workers][:steps], 1), done, None):
        losses.append(_step(reader, batch, optimizer, highest * _rate(step, steps)))
        seen += batch.tokens * workers
        if rank == 0 and (step % STEPS_PER_CHECKPOINT == 0 or step == steps):
            _save(folder, reader, optimizer, epoch, step)
        if rank == 0 and step == steps:
            save_file(dict(reader.state_dict()), folder / EPOCH.format(epoch))
        if rank == 0 and (step % STEPS_PER_REPORT == 0 or step == steps):
            rate = seen / (time.monotonic() - started)
            report(
                Progress(epoch=epoch, step=step, steps=steps, loss=sum(losses) / len(losses), tokens_per_second=rate)
            )
            losses = []


def _optimizer(reader: SpanReader) -> torch.optim.AdamW:
    heads = [*reader.tokens.parameters(), *reader.passage.parameters()]
    embeddings: Any = reader.encoder.get_input_embeddings()  # type: ignore[operator]
    embeddings.weight.requires_grad_(False)  # half of all weights, which a CPU would spend its time on
    encoder = [parameter for parameter in reader.encoder.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(
        [{"params": encoder, "lr": LEARNING_RATE}, {"params": heads, "lr": HEAD_LEARNING_RATE}],
        weight_decay=0.01,
        fused=True,
    )


def _rate(step: int, steps: int) -> float:
    """Of the learning rate: up, then down to nothing, both linear."""
    warm_up = max(1, int(steps * WARM_UP))
    return step / warm_up if step < warm_up else max(0.0, (steps - step) / (steps - warm_up))


def _step(reader: SpanReader, batch: Batch, optimizer: torch.optim.AdamW, rate: float) -> float:
    for group, learning_rate in zip(optimizer.param_groups, (LEARNING_RATE, HEAD_LEARNING_RATE), strict=True):
        group["lr"] = rate * learning_rate
    with torch.autocast("cpu", torch.bfloat16):
        outputs = reader(batch.input_ids, batch.token_type_ids, batch.attention_mask)
    value = loss([part.float() for part in outputs], batch)
    value.backward()  # type: ignore[no-untyped-call]
    _average_gradients(reader)
    torch.nn.utils.clip_grad_norm_(reader.parameters(), LARGEST_GRADIENT)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return value.item()


def _average_gradients(reader: SpanReader) -> None:
    gradients = [parameter.grad for parameter in reader.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    parts = torch.split(flat / distributed.get_world_size(), [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def _save(folder: Path, reader: SpanReader, optimizer: torch.optim.AdamW, epoch: int, step: int) -> None:
    moments = {
        f"optimizer.{number}.{name}": value
        for number, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
    }
    weights = {f"reader.{name}": value for name, value in reader.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / (CHECKPOINT + ".new")
    save_file({**weights, **moments, "epoch": torch.tensor(epoch), "step": torch.tensor(step)}, temporary)
    os.replace(temporary, folder / CHECKPOINT)


def _resume(folder: Path, reader: SpanReader, optimizer: torch.optim.AdamW, epoch: int) -> int:
    """The steps of this epoch that are done."""
    if not (folder / CHECKPOINT).exists():
        return 0
    stored = load_file(folder / CHECKPOINT)
    reader.load_state_dict(_part(stored, "reader."))
    state: dict[int, dict[str, Any]] = {}
    for key, value in stored.items():
        if key.startswith("optimizer."):
            _, number, name = key.split(".")
            state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return int(stored["step"]) if int(stored["epoch"]) == epoch else 0


def _part(stored: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in stored.items() if key.startswith(prefix)}


def epochs_begun(folder: Path) -> int:
    """Those of which the last checkpoint holds steps."""
    return int(load_file(folder / CHECKPOINT)["epoch"]) + 1 if (folder / CHECKPOINT).exists() else 0


def average(folder: Path) -> dict[str, Any]:
    """The mean weights of the ends of the last epochs, which do better on other kinds of text than the last alone
    (Izmailov et al. 2018)."""
    ends = [load_file(path) for path in sorted(folder.glob(EPOCH.format("*")))[-AVERAGED:]]
    return {
        name: torch.stack([end[name] for end in ends]).mean(0) if value.is_floating_point() else value
        for name, value in ends[-1].items()
    }
