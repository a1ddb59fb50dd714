from __future__ import annotations

import pytest

from service.answering.expectations import counts_others, meets


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


@pytest.mark.parametrize(
    ("question", "answer", "sentence"),
    [
        ("How many cranes does it have?", "four", "It will look at four areas in turn."),
        ("how many people of the town", "12", "There are 12 new sheds."),
        ("How many cranes are there?", "70 sheds", "There are 70 sheds."),
    ],
)
def test_a_figure_before_other_things_counts_these(question: str, answer: str, sentence: str) -> None:
    assert counts_others(question, answer, sentence)


@pytest.mark.parametrize(
    ("question", "answer", "sentence"),
    [
        ("How many cranes are there?", "four", "It has four big cranes and two sheds."),
        ("How many cranes are there?", "four", "Of the cranes, four units work."),
        ("How many cranes are there?", "four", "It has four."),
        ("How many cranes are there?", "four", "Among the old, four new ones are seen."),
        ("How many workers were there?", "four", "It took four people."),
        ("How many cranes does the dock of the areas have?", "four", "Four areas have one each."),
        ("How many does it have?", "four", "It has four sheds."),
        ("How long are the cranes?", "four", "Four sheds are long."),
        ("How many cranes are there?", "a few", "There are a few sheds."),
    ],
)
def test_a_figure_that_may_count_what_is_asked_for(question: str, answer: str, sentence: str) -> None:
    assert not counts_others(question, answer, sentence)
