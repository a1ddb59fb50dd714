"""Trains a reader on packed examples: from their labels, and from a larger reader that was trained before it."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from service.training.batches import PackedTensors, Taught
from service.training.model import Batch, SameWords, Scores, SpanReader, distillation_loss, loss
from service.training.packing import SEED, in_batches

WARM_UP = 0.06
"""Of all steps: the learning rate rises, then falls to nothing, both linearly."""
LARGEST_GRADIENT = 1.0
WEIGHT_DECAY = 0.01
SECONDS_PER_CHECKPOINT = 600
STEPS_PER_REPORT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    passes: float
    """Over one draw of the examples; each next pass takes the next draw."""
    tokens_per_batch: int
    learning_rate: float
    head_learning_rate: float
    dropout: float = 0.0
    taught_share: float = 0.0
    """Of the loss, what the teacher says; the rest are the labels."""
    temperature: float = 2.0


TEACHER = Plan(passes=1.2, tokens_per_batch=24_576, learning_rate=5e-5, head_learning_rate=5e-4, dropout=0.1)
READER = Plan(passes=5, tokens_per_batch=32_768, learning_rate=3e-4, head_learning_rate=1e-3, taught_share=0.8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    step: int
    steps: int
    loss: float
    """Mean since the last report."""
    tokens_per_second: float


def new_reader(model: Path, plan: Plan) -> SpanReader:
    """The encoder of a sentence-transformers model, with new heads. Its word pieces have to be BERT's."""
    from transformers import AutoModel

    torch.manual_seed(SEED)
    rates = {"hidden_dropout_prob": plan.dropout, "attention_probs_dropout_prob": plan.dropout}
    # Without its pooling layer, which the reader has no use for.
    encoder = AutoModel.from_pretrained(model, add_pooling_layer=False, **rates)
    return SpanReader(encoder, encoder.config.hidden_size)


def with_words_of(reader: SpanReader, own: Path, bert: Path) -> SpanReader:
    """The reader with the inputs of another: the word pieces of `own` in the numbers of `bert`, folders of models."""
    from tokenizers import Tokenizer

    numbers = Tokenizer.from_file(str(own / "tokenizer.json")).get_vocab()
    other = Tokenizer.from_file(str(bert / "tokenizer.json")).get_vocab()
    special = {"[CLS]": "<s>", "[SEP]": "</s>", "[PAD]": "<pad>", "[UNK]": "[UNK]"}
    unknown = numbers["[UNK]"]
    table = torch.full((len(other),), unknown)
    for word, number in other.items():
        table[number] = numbers.get(special.get(word, word), unknown)
    reader.encoder = SameWords(reader.encoder, table)
    return reader


def train(
    reader: SpanReader,
    draws: Sequence[PackedTensors],
    plan: Plan,
    *,
    checkpoint: Path,
    report: Callable[[Progress], None],
    taught: Sequence[Taught] = (),
) -> None:
    """`taught` holds the teacher's scores of each draw, where the plan has a teacher. A `checkpoint` that a run left is
    continued; one that ends leaves none."""
    device = draws[0].device
    reader.to(device).train()
    optimizer = _optimizer(reader, plan)
    order = _order(draws, plan)
    done = _resume(checkpoint, reader, optimizer)
    since = saved = time.monotonic()
    seen, losses = 0, torch.zeros((), device=device)
    for step, (draw, examples) in enumerate(order[done:], done + 1):
        places = draws[draw].places(examples)
        batch = draws[draw].batch(places)
        with quick(device):
            scores = Scores(*reader(batch.input_ids, batch.token_type_ids, batch.attention_mask))
        value = _loss(scores, taught[draw].scores(places) if plan.taught_share else None, batch, plan)
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(reader.parameters(), LARGEST_GRADIENT)
        for group in optimizer.param_groups:
            group["lr"] = group["highest"] * _rate(step, len(order))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses += value.detach()
        seen += batch.input_ids.numel()
        if step % STEPS_PER_REPORT == 0 or step == len(order):
            mean = float(losses) / ((step - 1) % STEPS_PER_REPORT + 1)
            rate = seen / (time.monotonic() - since)
            report(Progress(step=step, steps=len(order), loss=mean, tokens_per_second=rate))
            losses.zero_()
        if time.monotonic() - saved > SECONDS_PER_CHECKPOINT:
            _save(checkpoint, reader, optimizer, step)
            saved = time.monotonic()
    checkpoint.unlink(missing_ok=True)


def _loss(scores: Scores, told: Scores | None, batch: Batch, plan: Plan) -> Tensor:
    labelled = loss(scores, batch)
    if told is None:
        return labelled
    taught = distillation_loss(scores, told, batch, temperature=plan.temperature)
    return plan.taught_share * taught + (1 - plan.taught_share) * labelled


def teach(reader: SpanReader, draw: PackedTensors, plan: Plan) -> Taught:
    """What a trained teacher says of each example of a draw."""
    taught = Taught(draw)
    reader.to(draw.device).eval()
    with torch.inference_mode(), quick(draw.device):
        for examples in in_batches(draw.packed, tokens=2 * plan.tokens_per_batch, chance=random.Random(SEED)):
            places = draw.places(examples)
            batch = draw.batch(places)
            scores = reader(batch.input_ids, batch.token_type_ids, batch.attention_mask)
            taught.keep(places, batch, Scores(*scores))
    return taught


def save(reader: SpanReader, path: Path) -> None:
    """Of half precision, which loses nothing that the int8 of what ships would keep."""
    save_file({name: value.half().cpu().contiguous() for name, value in reader.state_dict().items()}, path)


def load(reader: SpanReader, path: Path) -> None:
    reader.load_state_dict({name: value.float() for name, value in load_file(path).items()})


@contextlib.contextmanager
def quick(device: torch.device) -> Iterator[None]:
    """How an accelerator computes what the block does; processors, few of which multiply bfloat16, do it as ever.

    In half precision, and with any fused attention but cuDNN's, which prepares itself anew for each shape of a batch.
    """
    fused = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type != "cpu"), sdpa_kernel(fused):
        yield


def _optimizer(reader: SpanReader, plan: Plan) -> torch.optim.AdamW:
    heads = [*reader.tokens.parameters(), *reader.passage.parameters()]
    groups = [
        {"params": list(reader.encoder.parameters()), "highest": plan.learning_rate},
        {"params": heads, "highest": plan.head_learning_rate},
    ]
    return torch.optim.AdamW(groups, lr=plan.learning_rate, weight_decay=WEIGHT_DECAY, fused=True)


def _rate(step: int, steps: int) -> float:
    warm_up = max(1, int(steps * WARM_UP))
    return step / warm_up if step <= warm_up else (steps - step) / (steps - warm_up)


def _order(draws: Sequence[PackedTensors], plan: Plan) -> list[tuple[int, NDArray[Any]]]:
    """Of which draw, and which examples of it, each step is."""
    chance = random.Random(SEED)
    found: list[tuple[int, NDArray[Any]]] = []
    for passed in range(-int(-plan.passes // 1)):
        draw = passed % len(draws)
        cut = in_batches(draws[draw].packed, tokens=plan.tokens_per_batch, chance=chance)
        found += [(draw, examples) for examples in cut[: int(len(cut) * min(1.0, plan.passes - passed))]]
    return found


def _save(path: Path, reader: SpanReader, optimizer: torch.optim.AdamW, step: int) -> None:
    moments = {
        f"optimizer.{number}.{name}": value
        for number, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
    }
    weights = {f"reader.{name}": value for name, value in reader.state_dict().items()}
    temporary = path.with_suffix(".part")
    save_file({**weights, **moments, "step": torch.tensor(step)}, temporary)
    temporary.replace(path)


def _resume(path: Path, reader: SpanReader, optimizer: torch.optim.AdamW) -> int:
    """Steps that were done."""
    if not path.exists():
        return 0
    stored = load_file(path)
    reader.load_state_dict(_part(stored, "reader."))
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in _part(stored, "optimizer.").items():
        number, name = key.split(".")
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return int(stored["step"])


def _part(stored: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in stored.items() if key.startswith(prefix)}
