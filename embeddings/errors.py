"""What can go wrong in the engine. It knows no HTTP; `service.api.problems` gives each leaf its status.

LoccitError
├── InvalidInput                 the caller can mend it; `field` is an RFC 6901 pointer into what was sent, or None
│   ├── InvalidIdentifier        a collection or document id outside its alphabet
│   ├── InvalidText              lone surrogates, NUL, bytes in no known encoding, nothing readable
│   ├── InvalidFilter            an unknown operator or field, a value of the wrong kind
│   ├── InvalidMetadata          nested, too many keys, mixed lists
│   ├── InvalidRange             start after end, or a slice that splits a surrogate pair
│   ├── InvalidCursor            a cursor that this service did not make
│   ├── UnsupportedMediaType     no loader reads this type
│   ├── TooLarge                 over a stated limit
│   └── IdempotencyConflict      the same key was used for another body
├── NotThere
│   ├── UnknownCollection
│   ├── UnknownDocument
│   ├── UnknownVersion
│   ├── UnknownPassage
│   └── UnknownJob
├── DeletedDocument              it was there; its text is no longer given out
├── SequenceNotReached           `min_seq` lies ahead of what has been committed
├── Busy                         a bounded queue is full; try again later
├── StoreUnavailable
│   ├── StoreLocked              another process holds the writer's lease
│   ├── StoreReadOnly            a sync to disk failed; nothing is written until a restart
│   ├── StoreTooNew              a later version of Loccit wrote it
│   ├── StoreCorrupt             the truth itself fails its checks; the collection is quarantined
│   └── DiskFull
├── IndexUnsound                 an index file is not what its manifest says; it is rebuilt, callers never see this
└── ModelUnavailable
    ├── ModelMissing             files or an optional package are not installed
    └── ModelUnsound             this processor gives other vectors than the reference ones
"""

from __future__ import annotations


class LoccitError(Exception):
    """Base of all; the message says what is wrong and how to mend it, and names no path or internals."""


class InvalidInput(LoccitError):
    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class InvalidIdentifier(InvalidInput):
    pass


class InvalidText(InvalidInput):
    pass


class InvalidFilter(InvalidInput):
    pass


class InvalidMetadata(InvalidInput):
    pass


class InvalidRange(InvalidInput):
    pass


class InvalidCursor(InvalidInput):
    pass


class UnsupportedMediaType(InvalidInput):
    pass


class TooLarge(InvalidInput):
    pass


class IdempotencyConflict(InvalidInput):
    pass


class NotThere(LoccitError):
    pass


class UnknownCollection(NotThere):
    pass


class UnknownDocument(NotThere):
    pass


class UnknownVersion(NotThere):
    pass


class UnknownPassage(NotThere):
    pass


class UnknownJob(NotThere):
    pass


class DeletedDocument(LoccitError):
    pass


class SequenceNotReached(LoccitError):
    pass


class Busy(LoccitError):
    pass


class StoreUnavailable(LoccitError):
    pass


class StoreLocked(StoreUnavailable):
    pass


class StoreReadOnly(StoreUnavailable):
    pass


class StoreTooNew(StoreUnavailable):
    pass


class StoreCorrupt(StoreUnavailable):
    pass


class DiskFull(StoreUnavailable):
    pass


class IndexUnsound(LoccitError):
    pass


class ModelUnavailable(LoccitError):
    pass


class ModelMissing(ModelUnavailable):
    pass


class ModelUnsound(ModelUnavailable):
    pass
