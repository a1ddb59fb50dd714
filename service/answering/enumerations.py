"""Enumerations: "A, B, C and D" in a sentence, or a list with an item a line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from embeddings.domain import Span
from embeddings.text import BULLET, sentence_spans

FEWEST_ITEMS = 3
LONGEST_ITEM = 8
"""In words: what is longer is a clause of its own."""

_SEPARATOR = re.compile(r",?\s+(?P<last>and|or|as well as|&)\s+|[,;、]\s*", re.IGNORECASE)
"""`last` stands before the last item."""
_CLAUSE_WORDS = "which who that is are was were has have had so because while when where if but he she it they we i"
_CLAUSE = frozenset(_CLAUSE_WORDS.split())
"""Words that tell a clause from an item."""
LISTED = re.compile(rf"^[^\S\n]*{BULLET}[^\S\n]+(?=\S)")
"""What a line begins with that is an item of a list."""
_LEAD = re.compile(
    r"^.*\b(?:including|include|includes|included|such as|like|namely|are|were|is|was|in|of|with|as|to|"
    r"the following|by|for|on|from|through)\s+"
    r"(?=\S)",
    re.IGNORECASE | re.DOTALL,
)


def enumeration_around(text: str, inside: Span) -> Span | None:
    """The items of the enumeration that `inside` is a part of, from the first to the last; None where there is none.

    Where `inside` already holds an enumeration or a pair, its own ends are kept.
    """
    return _list_around(text, inside) or _in_sentence(text, inside)


def _list_around(text: str, inside: Span) -> Span | None:
    """From the first to the last of the short items above and below, each a line."""
    items: list[Span] = []
    for line in re.finditer(r"[^\n]+", text):
        marker = LISTED.match(line.group())
        item = Span(line.start() + marker.end(), line.start() + len(line.group().rstrip())) if marker else None
        if item and len(text[item.start : item.end].split()) <= LONGEST_ITEM:
            items.append(item)
        elif line.group().strip():
            if _touches(items, inside):
                break
            items = []
    if len(items) < FEWEST_ITEMS or not _touches(items, inside):
        return None
    return Span(items[0].start, items[-1].end)


def _touches(items: Sequence[Span], inside: Span) -> bool:
    return any(item.start < inside.end and inside.start < item.end for item in items)


def _in_sentence(text: str, inside: Span) -> Span | None:
    sentence = next((each for each in sentence_spans(text) if each.start <= inside.start < each.end), None)
    if sentence is None:
        return None
    items = _items(text, sentence)
    touched = [at for at, item in enumerate(items) if item.start < inside.end and inside.start < item.end]
    if not touched:
        return None
    if len(touched) >= FEWEST_ITEMS or _is_pair(text, inside):
        return inside
    first, last = touched[0], touched[-1]
    while first > 1 and _is_item(text, items[first - 1]):
        first -= 1
    if first == 1 and _is_item(text, _without_lead(text, items[0])):
        first = 0
    while last + 1 < len(items) and _is_item(text, items[last + 1]) and not _is_last(text, items, last):
        last += 1
    if last - first + 1 < FEWEST_ITEMS:
        return None
    start = _start_of_first(text, items[first], inside)
    return Span(start, max(items[last].end, inside.end))


def _is_pair(text: str, inside: Span) -> bool:
    """As in "A and B"; a comma before the conjunction tells of more items."""
    found = _SEPARATOR.search(text, inside.start, inside.end)
    return found is not None and bool(found["last"]) and not found[0].startswith(",")


def _is_last(text: str, items: list[Span], at: int) -> bool:
    between = _SEPARATOR.search(text, items[at - 1].end, items[at].start) if at > 0 else None
    return between is not None and bool(between["last"])


def _items(text: str, sentence: Span) -> list[Span]:
    end = (
        sentence.end
        - len(text[sentence.start : sentence.end])
        + len(text[sentence.start : sentence.end].rstrip(".!?。 "))
    )
    cuts = [found.span() for found in _SEPARATOR.finditer(text, sentence.start, end)]
    starts = [sentence.start, *(cut[1] for cut in cuts)]
    ends = [*(cut[0] for cut in cuts), end]
    return [Span(start, stop) for start, stop in zip(starts, ends, strict=True) if start < stop]


def _is_item(text: str, item: Span) -> bool:
    words = text[item.start : item.end].split()
    return len(words) <= LONGEST_ITEM and not _CLAUSE.intersection(word.lower() for word in words)


def _start_of_first(text: str, first: Span, inside: Span) -> int:
    """Past the words that lead up to the enumeration."""
    if inside.start < first.end:
        return inside.start
    return _without_lead(text, first).start


def _without_lead(text: str, item: Span) -> Span:
    lead = _LEAD.match(text[item.start : item.end])
    return Span(item.start + (lead.end() if lead else 0), item.end)
