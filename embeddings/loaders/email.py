"""E-mail as it is stored (RFC 5322): subject, who and when, and the text."""

from __future__ import annotations

from dataclasses import replace
from email import policy
from email.errors import MessageError
from email.message import EmailMessage
from email.parser import BytesParser

from embeddings.domain import LoadedDocument, MetadataValue, Source
from embeddings.errors import InvalidText
from embeddings.loaders.decoding import require_readable
from embeddings.loaders.rendering import render
from embeddings.text import canonical

_HEADERS = ("from", "to", "cc")


class EmailLoader:
    """The plain text of a message, else its HTML; attachments are named in warnings."""

    media_types: tuple[str, ...] = ("message/rfc822",)

    def load(self, source: Source) -> LoadedDocument:
        try:
            parsed = BytesParser(EmailMessage, policy=policy.default).parsebytes(source.content)
            document = _body(parsed)
            names = [part.get_filename() or part.get_content_type() for part in parsed.iter_attachments()]
            metadata = _metadata(parsed)
            subject = canonical(str(parsed["subject"] or "")).strip()
        except (MessageError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
            raise InvalidText("The message is damaged; export it anew.", field="/text") from error
        warnings = (*document.warnings, *(f"Not read: the attachment {canonical(str(name))}." for name in names))
        return replace(document, title=subject or document.title, metadata=metadata, warnings=warnings)


def _body(message: EmailMessage) -> LoadedDocument:
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        raise InvalidText("The message holds no text.", field="/text")
    content = str(part.get_content())
    if part.get_content_type() == "text/html":
        return render(canonical(content))
    text = canonical(content).strip("\n")
    require_readable(text)
    return LoadedDocument(text=text)


def _metadata(message: EmailMessage) -> dict[str, MetadataValue]:
    told: dict[str, MetadataValue] = {
        header: canonical(str(message[header])).strip() for header in _HEADERS if message[header]
    }
    if message["date"] and (sent := message["date"].datetime) is not None:
        told["created_at"] = sent.isoformat()
    return told
