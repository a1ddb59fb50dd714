"""Makes yes/no questions of statements, so that data on entailment teaches to answer them."""

from __future__ import annotations

import random
import re

_AUXILIARIES = "is are was were has have had can could will would should may might must does do did"
_LOWERED = "the a an there he she it they some this that two"
_LONGEST_SUBJECT = 6


def as_question(statement: str, chance: random.Random) -> str:
    """By inversion where an auxiliary verb stands near its start, else as a question for its truth."""
    plain = statement.strip().rstrip(".!?")
    inverted = _inverted(plain)
    if inverted and chance.random() < 0.8:
        return inverted
    lowered = plain if re.match(r"[A-Z]\w*[A-Z]|I\b|[A-Z][a-z]+ [A-Z]", plain) else plain[:1].lower() + plain[1:]
    return chance.choice((f"Is it true that {lowered}?", f"Is it the case that {lowered}?", f"{plain}?"))


def _inverted(statement: str) -> str | None:
    words = statement.split()
    for at, word in enumerate(words[1 : _LONGEST_SUBJECT + 1], 1):
        if word in _AUXILIARIES.split():
            subject = words[:at]
            if subject[0].lower() in _LOWERED.split():
                subject = [subject[0].lower(), *subject[1:]]
            return " ".join([word.capitalize(), *subject, *words[at + 1 :]]) + "?"
    return None
