"""Turns a question into one that looks as if its paragraph answered it, and does not.

The ways are those that the writers of SQuAD 2.0's unanswerable questions took most (Rajpurkar, Jia and Liang 2018,
table 2): another entity, another number, an antonym, a negation.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

_SHARE_NEGATED = 0.3
"""Else nearly all would be negated, since nearly every question can be."""

_NAME = re.compile(r"\b[A-Z][\w'’-]+(?:\s+(?:of\s+|the\s+|de\s+)?[A-Z][\w'’-]+)*")
_NUMBER = re.compile(r"\b\d[\d,]*(?:\.\d+)?")
_YEAR = re.compile(r"1[0-9]{3}|20[0-9]{2}")
_AUXILIARY = re.compile(r"\b(did|does|do|is|are|was|were|has|have|had|can|could|will|would|should)\b")
_PAIRS = (
    "first last|largest smallest|biggest smallest|highest lowest|oldest youngest|oldest newest|longest shortest|"
    "earliest latest|most least|more less|more fewer|larger smaller|higher lower|greater lesser|"
    "better worse|best worst|"
    "before after|north south|east west|northern southern|eastern western|increase decrease|increased decreased|"
    "rise fall|rose fell|begin end|began ended|start stop|started stopped|open close|opened closed|win lose|won lost|"
    "early late|earlier later|above below|inside outside|male female|men women|man woman|father mother|son daughter|"
    "brother sister|king queen|husband wife|positive negative|maximum minimum|minority majority|always never|"
    "buy sell|bought sold|accept reject|accepted rejected|allow forbid|allowed forbidden|support oppose|"
    "supported opposed|strong weak|rich poor|old new|old young|long short|high low|large small|big small|good bad|"
    "public private|urban rural|major minor|common rare|easy difficult|fast slow|hot cold|summer winter|import export|"
    "arrive leave|arrived left|born died|birth death|victory defeat|gain loss|gained lost|attack defend|"
    "advantage disadvantage|cause prevent|caused prevented|include exclude|included excluded|join leave|create destroy|"
    "created destroyed|left right|upper lower|internal external|domestic foreign|ancient modern|day night|"
    "appointed dismissed|found lost|love hate|agree disagree|agreed disagreed|succeed fail|succeeded failed|"
    "approve disapprove|encourage discourage|legal illegal|possible impossible|able unable|popular unpopular"
)
_OPPOSITES: dict[str, list[str]] = {}
for _pair in _PAIRS.split("|"):
    _one, _other = _pair.split()
    _OPPOSITES.setdefault(_one, []).append(_other)
    _OPPOSITES.setdefault(_other, []).append(_one)

Change = Callable[[str, str, Sequence[str], random.Random], str | None]


def changed(question: str, paragraph: str, elsewhere: Sequence[str], chance: random.Random) -> str | None:
    """The question with one thing changed so that the paragraph no longer answers it; None where nothing could be.

    `elsewhere` is text of the same subject, from which other names come.
    """
    changes: list[Change] = [_other_name, _other_name, _opposite, _opposite, _other_number]
    if chance.random() < _SHARE_NEGATED:
        changes.append(_negated)
    chance.shuffle(changes)
    attempts = (change(question, paragraph, elsewhere, chance) for change in changes)
    return next((attempt for attempt in attempts if attempt and attempt != question), None)


def _other_name(question: str, paragraph: str, elsewhere: Sequence[str], chance: random.Random) -> str | None:
    asked = [found for found in _NAME.finditer(question) if found.start() > 0 and found.group() in paragraph]
    if not asked:
        return None
    replaced = chance.choice(asked)
    names = {found.group() for text in elsewhere for found in _NAME.finditer(text) if text[: found.start()].strip()}
    others = sorted(name for name in names if name not in paragraph and name not in question)
    alike = [name for name in others if len(name.split()) == len(replaced.group().split())]
    return _with(question, replaced, chance.choice(alike)) if alike else None


def _other_number(question: str, paragraph: str, _: Sequence[str], chance: random.Random) -> str | None:
    asked = [found for found in _NUMBER.finditer(question) if found.group() in paragraph]
    if not asked:
        return None
    replaced = chance.choice(asked)
    digits = replaced.group().replace(",", "")
    if _YEAR.fullmatch(digits):
        other = str(int(digits) + chance.choice((-1, 1)) * chance.choice((1, 2, 3, 5, 10, 20, 100)))
    else:
        other = re.sub(r"\d", lambda digit: str((int(digit.group()) + chance.randint(1, 8)) % 9 + 1), replaced.group())
    return None if other in paragraph else _with(question, replaced, other)


def _opposite(question: str, _: str, __: Sequence[str], chance: random.Random) -> str | None:
    asked = [found for found in re.finditer(r"[a-z]+", question) if found.group() in _OPPOSITES]
    if not asked:
        return None
    replaced = chance.choice(asked)
    return _with(question, replaced, chance.choice(_OPPOSITES[replaced.group()]))


def _negated(question: str, _: str, __: Sequence[str], chance: random.Random) -> str | None:
    if re.search(r"\b(?:not|never|no)\b|n't", question):
        return None
    asked = list(_AUXILIARY.finditer(question))
    if not asked:
        return None
    auxiliary = chance.choice(asked)
    word = auxiliary.group()
    if word not in ("will", "can", "do") and chance.random() < 0.5:
        return _with(question, auxiliary, word + "n't")
    rest = question[auxiliary.end() :]
    subject = re.match(r"\s+(?:the\s+)?[\w'’-]+", rest)
    at = auxiliary.end() + (subject.end() if subject and word in ("did", "does", "do") else 0)
    return question[:at] + chance.choice((" not", " never")) + question[at:]


def _with(question: str, replaced: re.Match[str], by: str) -> str:
    return question[: replaced.start()] + by + question[replaced.end() :]
