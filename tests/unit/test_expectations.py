from __future__ import annotations

import pytest

from service.answering.expectations import meets


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How many cranes are there?", "12"),
        ("How many cranes are there?", "a dozen or so"),
        ("how much did it cost", "432 million yuan"),
        ("What percentage of it is grey?", "two thirds"),
        ("What is the total number of sheds?", "three"),
        ("In what year was it built?", "1884"),
        ("On which day did they meet?", "April 29"),
        ("On which day did they meet?", "the last Sunday of May"),
        ("On what date did it open?", "October 2017"),
        ("Who is its master?", "Ada Marsh"),
        ("When was it built?", "after the war"),
    ],
)
def test_what_the_question_asks_for_is_held(question: str, answer: str) -> None:
    assert meets(question, answer)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How many academicians does it have?", "high-level talents"),
        ("What is the price of the ferry?", "Kirkwater"),
        ("What percentage of it is grey?", "granite"),
        ("In which year was it built?", "the harbour office"),
        ("On which day did they meet?", "December 2018"),
        ("On what date did it open?", "Wanji Industrial Zone"),
    ],
)
def test_what_the_question_asks_for_is_lacking(question: str, answer: str) -> None:
    assert not meets(question, answer)
