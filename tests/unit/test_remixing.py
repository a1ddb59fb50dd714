from __future__ import annotations

from itertools import islice

import numpy as np

from embeddings.encoders.hashing import HashingEncoder
from service.evaluation.peps import Pep
from service.evaluation.remixing import Remix, RemixEncoder, sentences

BIRDS = [f"The heron number {number} stands in the shallow water of the harbour." for number in range(30)]
SHIPS = [f"The ship number {number} lies at the long quay behind the old customs house." for number in range(30)]
REMIX = Remix(originals=[("Birds", BIRDS), ("Ships", SHIPS)])


def test_sentences_of_a_proposal_are_single_lines_of_some_length() -> None:
    pep = Pep(document_id="pep-1", title="Birds", text=f"Short.\n\n{BIRDS[0]} No.\n\n{'x' * 400}.")
    assert sentences(pep) == [BIRDS[0]]


def test_the_same_documents_come_each_time_and_no_two_are_alike() -> None:
    first, second = (list(islice(REMIX, 5)) for _ in range(2))
    assert first == second
    assert len({source.content for _, source in first}) == 5
    assert [name for name, _ in first] == [f"remix-{number}" for number in range(5)]


def test_a_document_is_mostly_of_one_origin() -> None:
    _, source = next(iter(REMIX))
    lines = source.content.decode().split("\n\n")
    own = BIRDS if source.title is not None and source.title.startswith("Birds") else SHIPS
    assert set(lines) <= {*BIRDS, *SHIPS}
    assert 0.7 < np.mean([line in own for line in lines]) < 1


def test_a_passage_lies_near_the_mean_of_its_sentences_and_nowhere_twice() -> None:
    real = HashingEncoder()
    encoder = RemixEncoder(real, [*BIRDS, *SHIPS])
    passages = [f"Title\n{BIRDS[0]}\n\n{SHIPS[3]}", BIRDS[7], "unknown words alone"]
    vectors = encoder.encode_passages(passages)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    mean = real.encode_passages([BIRDS[0], SHIPS[3]]).mean(axis=0)
    assert vectors[0] @ mean / np.linalg.norm(mean) > 0.9
    assert vectors[1] @ real.encode_passages([BIRDS[7]])[0] > 0.9
    assert encoder.encode_passages(passages).tolist() == vectors.tolist()
    assert encoder.fingerprint == real.fingerprint
