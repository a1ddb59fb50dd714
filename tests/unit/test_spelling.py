from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.answering.spelling import Speller

KNOWN = ("the", "who", "was", "is", "it", "of", "and", "what", "mayor", "about", "governor", "government")
SPELLER = Speller(KNOWN)
TEXT = "The number of bakers was approved by the council; Ada Marsh presided. The major road is paved, by Mr Marshall."


def mend(question: str, *texts: str) -> str:
    return SPELLER.mended(question, SPELLER.doubtful(question), texts or (TEXT,))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("what is the nubmer of bakers", "what is the number of bakers"),
        ("who aproved it, and who presidd?", "who approved it, and who presided?"),
        ("who approvved it?", "who approved it?"),
        ("who appruved it?", "who approved it?"),
        ("what is the counci?", "what is the council?"),
    ],
    ids=["swapped", "missing", "too many", "another", "at the end"],
)
def test_a_slip_is_mended_by_a_word_of_the_passages(typed: str, meant: str) -> None:
    assert mend(typed) == meant


@pytest.mark.parametrize("typed", ["goverment", "goevrnment", "govvernment"])
def test_what_no_passage_holds_is_mended_by_a_known_word(typed: str) -> None:
    assert mend(f"who was the {typed}?") == "who was the government?"


@pytest.mark.parametrize(
    "question",
    [
        "who is the mayor?",  # known, though the passage has a major road
        "who is Marsholl?",  # a name may be another's
        "who is marsholl?",  # and no name is put in its place
        "who is about the councils?",  # the passage holds the word in another form
        "who was nimbrs of it?",  # two slips
        "who was the govennment?",  # no passage holds what is meant, and it may be another word
        "who was the governmen?",  # or another form
        "is it waved?",  # another beginning
        "who was it, Goverment?",
        "wer hat das goverment aproved?",  # another language
        "2018年广州科学城的专利授权量是多少件？",
    ],
)
def test_what_may_be_right_is_left(question: str) -> None:
    assert mend(question) == question


def test_of_several_words_the_one_that_the_passages_hold_most_often_is_meant() -> None:
    assert mend("what is a thern", "a torn page, the thorn", "a theorn, the thorn") == "what is a thorn"


def test_of_known_words_one_that_the_passages_hold_is_meant() -> None:
    speller = Speller([*KNOWN, "since", "science"])
    assert speller.mended("what is the scince", ["scince"], ["Science Park"]) == "what is the science"
    assert speller.mended("what is the scince", ["scince"], ["Paris"]) == "what is the since"


def test_without_known_words_nothing_is_doubtful() -> None:
    assert Speller(()).doubtful("the nubmer") == []


WORDS = [
    *KNOWN,
    *TEXT.split(" "),
    "nubmer",
    "aproved",
    "goverment",
    "Goverment",
    "bakrs",
    "straße",
    "ﬁsh",
    "x1",
    "?",
    "\n",
    "国",
]
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(WORDS)).map(" ".join))
WORD = re.compile(r"[^\W\d_]+")


@given(question=TEXTS, texts=st.lists(TEXTS, max_size=3))
def test_only_doubtful_words_change_and_each_by_one_slip(question: str, texts: list[str]) -> None:
    doubtful = SPELLER.doubtful(question)
    found = SPELLER.mended(question, doubtful, texts)

    assert WORD.split(found) == WORD.split(question)
    for before, after in zip(WORD.findall(question), WORD.findall(found), strict=True):
        assert before == after or (before in doubtful and before[0] == after[0] and abs(len(before) - len(after)) <= 1)
    assert SPELLER.mended(found, SPELLER.doubtful(found), texts) == found
