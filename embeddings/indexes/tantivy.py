"""Word candidates with tantivy. It only proposes rows; their BM25 scores are computed exactly by `embeddings.bm25`.

tantivy's own scores depend on how the passages are spread over segments and on deleted ones, so they would change when
an index is rebuilt though the documents did not.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from tantivy import Document, Index, Occur, Query, Schema, SchemaBuilder, Searcher

from embeddings.arrays import Keys, RowNumbers, Rows
from embeddings.errors import IndexUnsound

FOLDER = "words"
WRITER_HEAP_BYTES = 64_000_000
SPARE = 50
"""Rows beyond those that are wanted, in case a few of them are kept out."""
MANY_ROWS = 100_000
TOO_COMMON = 0.3
"""Of many rows, the share that hold a word which tells so little that it is not worth going through all of them."""


def _schema() -> Schema:
    builder = SchemaBuilder()
    builder.add_text_field("words", tokenizer_name="whitespace", index_option="freq")
    builder.add_integer_field("indexing", indexed=True)
    builder.add_integer_field("row", fast=True)
    return builder.build()


def _errno_of(error: ValueError) -> int:
    """tantivy tells of a failing disk in words only."""
    return errno.ENOSPC if f"os error {errno.ENOSPC}" in str(error) else errno.EIO


class TantivyIndex:
    def __init__(self, index: Index) -> None:
        self._schema = index.schema
        self._searcher: Searcher = index.searcher()

    def candidates(self, words: Sequence[str], k: int, allowed: Rows | None) -> RowNumbers:
        if not words or self._searcher.num_docs == 0:
            return np.empty(0, np.int64)
        query = self._any_of(self._telling(words))
        if allowed is None:
            return self._best(query, k)
        if not allowed.is_inclusive:
            # Few rows are kept out: to look past them is quicker than to have every row judged.
            found = self._best(query, k + SPARE)
            kept = found[allowed.mask[found]]
            if len(kept) >= k or len(found) < k + SPARE:
                return kept[:k]
        return self._best(self._restricted(query, allowed), k)

    def _telling(self, words: Sequence[str]) -> Sequence[str]:
        if self._searcher.num_docs < MANY_ROWS:
            return words
        most = TOO_COMMON * self._searcher.num_docs
        return [word for word in words if self.document_frequency(word) <= most] or words

    def _best(self, query: Query, k: int) -> RowNumbers:
        addresses = [address for _, address in self._searcher.search(query, limit=k, count=False).hits]
        return np.array(self._searcher.fast_field_values("row", addresses), np.int64)

    def document_frequency(self, word: str) -> int:
        return int(self._searcher.doc_freq("words", word))

    def _any_of(self, words: Sequence[str]) -> Query:
        return Query.boolean_query([(Occur.Should, Query.term_query(self._schema, "words", word)) for word in words])

    def _restricted(self, query: Query, allowed: Rows) -> Query:
        chosen = Query.term_set_query(self._schema, "indexing", allowed.indexing_keys.tolist())
        if not allowed.is_inclusive:
            return Query.boolean_query([(Occur.Must, query), (Occur.MustNot, chosen)])
        return Query.boolean_query([(Occur.Must, query), (Occur.Must, Query.const_score_query(chosen, 0.0))])


class TantivyIndexes:
    """Makes tantivy indexes, each in a folder of its own that is never changed afterwards."""

    def build(self, folder: Path, words: Iterable[str], indexing_keys: Keys) -> TantivyIndex:
        place = folder / FOLDER
        place.mkdir(mode=0o700)
        try:
            built = self._built(place, words, indexing_keys)
        except ValueError as error:
            raise OSError(_errno_of(error), "tantivy could not write") from error
        for path in place.iterdir():
            path.chmod(0o600)  # tantivy leaves that to the umask.
        return built

    @staticmethod
    def _built(place: Path, words: Iterable[str], indexing_keys: Keys) -> TantivyIndex:
        index = Index(_schema(), path=str(place))
        writer = index.writer(heap_size=WRITER_HEAP_BYTES, num_threads=1)
        for row, (listed, indexing) in enumerate(zip(words, indexing_keys.tolist(), strict=True)):
            writer.add_document(Document(words=listed, indexing=indexing, row=row))
        writer.commit()
        writer.wait_merging_threads()
        index.reload()
        return TantivyIndex(index)

    def load(self, folder: Path, *, rows: int) -> TantivyIndex:
        try:
            index = Index.open(str(folder / FOLDER))
        except ValueError as error:
            raise IndexUnsound("the word index cannot be read") from error
        found = TantivyIndex(index)
        if found._searcher.num_docs != rows:
            raise IndexUnsound("the word index holds another number of passages")
        return found
