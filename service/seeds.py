"""The corpus that a fresh start loads and answers from."""

from __future__ import annotations

import logging
from pathlib import Path

from embeddings.domain import Source
from embeddings.errors import StoreCorrupt
from embeddings.library import Library

logger = logging.getLogger(__name__)

PACKAGED = Path(__file__).with_name("seed_documents")
FOLDER = PACKAGED if PACKAGED.is_dir() else Path(__file__).resolve().parent.parent / "seeds"
COLLECTION = "default"
MARK = "seeds"


def load_seeds(library: Library, *, wanted: bool) -> None:
    """Make the default collection, and fill it once: seeds that somebody deleted don't come back.

    Where it is quarantined, it is left alone.
    """
    try:
        library.create(COLLECTION)
    except StoreCorrupt:
        return
    if not wanted or library.is_marked(MARK):
        return
    files = sorted(FOLDER.glob("*.txt"))
    for number, file in enumerate(files, start=1):
        logger.info("loading seed", extra={"document": file.name, "number": number, "of": len(files)})
        library.collection(COLLECTION).put(file.name, Source(content=file.read_bytes(), media_type="text/plain"))
    library.mark(MARK)
