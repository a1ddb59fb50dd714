"""`loccit put`, `loccit documents` and `loccit delete`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from service.calling import Call, Refused, calling, listed, path_to
from service.commands.options import AsJson, CollectionName, Data, Url, settings_of
from service.commands.printing import counted, plain, show

Files = Annotated[
    list[Path], typer.Argument(metavar="FILE…", exists=True, dir_okay=False, help="Of any kind that is read.")
]
Identifier = Annotated[str | None, typer.Option("--id", help="Of a single file; else made from its name.")]
Identifiers = Annotated[list[str], typer.Argument(metavar="DOCUMENT…", help="As `loccit documents` lists them.")]
Purge = Annotated[bool, typer.Option("--purge", help="Erase text and original from the disk, too.")]


def add_to(app: typer.Typer) -> None:
    app.command()(put)
    app.command()(documents)
    app.command()(delete)


def put(
    files: Files,
    collection: CollectionName = "default",
    document_id: Identifier = None,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Add files to a collection, or replace them."""
    if document_id is not None and len(files) > 1:
        raise typer.BadParameter("--id names one document; give one file.")
    with calling(settings_of(url=url, data=data)) as call:
        receipts = [_put(call, collection, path, document_id) for path in files]
    show(receipts, [_receipt_line(receipt) for receipt in receipts], as_json=as_json)


def documents(
    collection: CollectionName = "default", url: Url = None, data: Data = None, as_json: AsJson = False
) -> None:
    """List the documents of a collection."""
    with calling(settings_of(url=url, data=data)) as call:
        items = list(listed(call, f"{path_to(collection)}/documents"))
    show(items, [_document_line(item) for item in items], as_json=as_json)


def delete(
    document_ids: Identifiers,
    collection: CollectionName = "default",
    purge: Purge = False,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Delete documents: from then on no answer stands on them."""
    with calling(settings_of(url=url, data=data)) as call:
        receipts = [_delete(call, collection, document_id, purge=purge) for document_id in document_ids]
    lines = [f"{one['document_id']}: deleted, {counted(one['passages'], 'passage')}" for one in receipts]
    show(receipts, lines, as_json=as_json)


def _put(call: Call, collection: str, path: Path, document_id: str | None) -> dict[str, Any]:
    from service.naming import document_id_of, media_type_of_name

    place = path_to(collection, document_id or document_id_of(path.name))
    headers = {"Content-Type": media_type_of_name(path.name)}
    with _naming(path.name):
        receipt: dict[str, Any] = call(
            "PUT", place, params={"wait": "true"}, content=path.read_bytes(), headers=headers
        )
    return receipt


def _delete(call: Call, collection: str, document_id: str, *, purge: bool) -> dict[str, Any]:
    params = {"purge": "true"} if purge else {}
    with _naming(document_id):
        receipt: dict[str, Any] = call("DELETE", path_to(collection, document_id), params=params)
    return receipt


@contextmanager
def _naming(document: str) -> Iterator[None]:
    """A refusal says which of several documents it is about."""
    try:
        yield
    except Refused as refusal:
        raise Refused(f"{document}: {refusal}", status=refusal.status) from None


def _receipt_line(receipt: dict[str, Any]) -> str:
    state = "unchanged" if receipt["unchanged"] else counted(receipt["passages"], "passage")
    notes = "".join(f"; {plain(warning)}" for warning in receipt["warnings"])
    return f"{receipt['document_id']}: version {receipt['version']}, {state}{notes}"


def _document_line(item: dict[str, Any]) -> str:
    length, title = counted(item["characters"], "character"), plain(item["title"] or "")
    return f"{item['document_id']}  version {item['version']}, {length}  {title}".rstrip()
