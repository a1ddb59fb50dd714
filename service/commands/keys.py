"""`loccit keys`: who may use the service, and for what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from service.calling import call, calling, listed
from service.commands.options import AsJson, Data, settings_of
from service.commands.printing import plain, show

keys = typer.Typer(help="Make, list and revoke keys; also while the service runs.", no_args_is_help=True)

Url = Annotated[str | None, typer.Option(help="Of a running service; else the one on this machine.")]
Name = Annotated[str, typer.Argument(help="For people: who holds it.", show_default=False)]
Scopes = Annotated[list[str], typer.Option("--scope", help="ask, ingest or admin; may be repeated.")]
Collections = Annotated[list[str] | None, typer.Option("--collection", "-c", help="Only this one; may be repeated.")]
Origins = Annotated[
    list[str] | None, typer.Option("--origin", help="Only for pages of this site, https://…; may be repeated.")
]
Asks = Annotated[int, typer.Option("--asks-per-minute", min=0, help="0: as many as come.")]
Uploads = Annotated[int, typer.Option("--uploads-per-minute", min=0, help="0: as many as come.")]
Visitors = Annotated[
    int | None, typer.Option("--visitor-asks-per-minute", min=1, help="Of one address; 10 for keys with an origin.")
]
Days = Annotated[int | None, typer.Option("--days", min=1, help="It expires after that many; else never.")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(keys, name="keys")


@keys.command()
def add(
    name: Name,
    scopes: Scopes,
    collections: Collections = None,
    origins: Origins = None,
    asks_per_minute: Asks = 60,
    uploads_per_minute: Uploads = 10,
    visitor_asks_per_minute: Visitors = None,
    days: Days = None,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a key, and print it: it is shown this once."""
    body = {
        "name": name,
        "scopes": scopes,
        "collections": collections or None,
        "origins": origins or [],
        "asks_per_minute": asks_per_minute or None,
        "uploads_per_minute": uploads_per_minute or None,
        "visitor_asks_per_minute": visitor_asks_per_minute,
        "expires_at": None if days is None else (datetime.now(UTC) + timedelta(days=days)).isoformat(),
    }
    made = call(settings_of(url=url, data=data), "POST", "/v1/keys", json=body)
    show(made, [made["key"]], as_json=as_json)


@keys.command("list")
def list_all(url: Url = None, data: Data = None, as_json: AsJson = False) -> None:
    """All keys, oldest first, without what opens."""
    with calling(settings_of(url=url, data=data)) as one:
        items = list(listed(one, "/v1/keys"))
    show(items, [_line(item) for item in items], as_json=as_json)


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="As `loccit keys list` shows it.")], url: Url = None, data: Data = None
) -> None:
    """Revoke a key: from then on it opens nothing."""
    call(settings_of(url=url, data=data), "DELETE", f"/v1/keys/{key_id}")


def _line(item: dict[str, Any]) -> str:
    where = ", ".join(item["collections"] or ["all collections"])
    pages = f", pages of {', '.join(item['origins'])}" if item["origins"] else ""
    rates = f"{item['asks_per_minute'] or 'any'} asks and {item['uploads_per_minute'] or 'any'} uploads a minute"
    end = f", until {item['expires_at'][:10]}" if item["expires_at"] else ""
    return f"{item['key_id']}  {plain(item['name'])}: {', '.join(item['scopes'])}; {where}{pages}; {rates}{end}"
