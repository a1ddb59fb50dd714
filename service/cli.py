"""The command line. Exit codes: 0 done, 1 failed or a check found something, 2 wrong usage, 3 no answer was found.

130 stopped with Ctrl+C, as shells have it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import typer
from pydantic import ValidationError

from embeddings.errors import LoccitError
from service.calling import Refused, call
from service.commands import backups, documents, keys
from service.commands.options import AsJson, CollectionName, Data, Url
from service.commands.options import settings_of as _settings
from service.commands.printing import plain as _plain
from service.commands.printing import show as _print
from service.evaluation.errors import InvalidQuestions
from service.settings import Settings, unknown_variables

if TYPE_CHECKING:
    from service.evaluation.commands import Outcome
    from service.folder_command import Report, Request

FAILED = 1
WRONG_USAGE = 2
NOT_ANSWERED = 3
INTERRUPTED = 130
REASONS = {"unsupported_language": "this encoder cannot read its script; LOCCIT_ENCODER names another"}
"""Of an abstention, where its name does not say it."""

app = typer.Typer(
    name="loccit",
    help="Ask your documents; every answer quotes the place it stands on.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Questions = Annotated[Path, typer.Argument(metavar="QUESTIONS.jsonl", help="One JSON object a line.")]
Corpus = Annotated[
    Path | None,
    typer.Option(exists=True, file_okay=False, help="Ask a folder's documents instead, in a library of their own."),
]


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one.")] = None,
    data: Data = None,
) -> None:
    """Run the service and its page."""
    settings = _settings(host=host, port=port, data=data)
    for name in unknown_variables():
        typer.echo(f"loccit: {name} is no setting and is ignored; see docs/settings.md.", err=True)
    from service import bootstrap, logs, serving

    if not settings.is_loopback and settings.api_key is None and not bootstrap.has_keys(settings):
        raise Refused(
            f"To listen on {settings.host}, run `loccit keys add` or set LOCCIT_API_KEY first:"
            " others could read and write everything."
        )

    logs.configure(settings.log_level)
    serving.serve(settings)


@app.command()
def ask(
    question: str,
    collection: CollectionName = "default",
    top_k: Annotated[int, typer.Option(help="Passages to read.")] = 8,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Ask a question; exits with 3 where the documents don't answer it."""
    body = {"question": question, "collection": collection, "top_k": top_k}
    answer = call(_settings(url=url, data=data), "POST", "/v1/ask", json=body)
    _print(answer, _answer_lines(answer), as_json=as_json)
    if not answer["answered"]:
        raise typer.Exit(NOT_ANSWERED)


@app.command()
def search(
    question: str,
    collection: CollectionName = "default",
    top_k: Annotated[int, typer.Option(help="Passages to show.")] = 5,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show the passages that fit a question best."""
    body = {"question": question, "collection": collection, "top_k": top_k}
    found = call(_settings(url=url, data=data), "POST", "/v1/search", json=body)
    _print(found, _passage_lines(found["passages"]), as_json=as_json)


@app.command()
def ingest(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH…", help="Folders, files, and patterns like 'docs/**/*.md'.")
    ],
    collection: CollectionName = "default",
    include: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Take these only, of whatever ending; may be repeated.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Leave these out, as in .gitignore; may be repeated.")
    ] = None,
    hidden: Annotated[bool, typer.Option("--hidden", help="Take hidden files and folders too.")] = False,
    sync: Annotated[bool, typer.Option("--sync", help="Also remove the documents of files that are gone.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="As --sync, and go on until Ctrl+C.")] = False,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Let --sync remove everything where no file is left.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    url: Url = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Bring folders into a collection, and keep it in step with them.

    A second run sends only what has changed. Safe to stop and to repeat; exits with 1 if a file failed."""
    from service import folder_command

    request = folder_command.Request(
        names=paths,
        collection=collection,
        include=include or (),
        exclude=exclude or (),
        hidden=hidden,
        sync=sync or watch,
        allow_empty=allow_empty,
        dry_run=dry_run,
    )
    if watch and not dry_run:
        _watch(_settings(url=url, data=data), request, as_json=as_json)
        return
    report = folder_command.run(_settings(url=url, data=data), request)
    _tell_report(report, as_json=as_json)
    if report.is_interrupted:
        raise typer.Exit(INTERRUPTED)
    if report.outcome.failures:
        raise typer.Exit(FAILED)


@app.command()
def doctor(
    repair: Annotated[bool, typer.Option(help="Rebuild what can be rebuilt.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Check store, index and models while no service runs; exits with 1 if something is wrong."""
    from service import bootstrap

    findings = bootstrap.doctor(_settings(data=data), repair=repair)
    listed = [{"name": one.name, "ok": one.ok, "detail": one.detail} for one in findings]
    _print(listed, [f"{'ok  ' if one.ok else 'BAD '} {one.name}: {one.detail}" for one in findings], as_json=as_json)
    if not all(one.ok for one in findings):
        raise typer.Exit(FAILED)


@app.command()
def evaluate(
    questions: Questions,
    corpus: Corpus = None,
    collection: CollectionName = "default",
    against: Annotated[
        str | None, typer.Option(metavar="REPORT|NAME=VALUE[,…]", help="An earlier report.json, or other settings.")
    ] = None,
    output: Annotated[Path, typer.Option(file_okay=False, help="Where report, worst cases and pictures go.")] = Path(
        "loccit-evaluation"
    ),
    fail_under: Annotated[list[str] | None, typer.Option(metavar="METRIC=VALUE", help="Exit with 1 below it.")] = None,
    fail_over: Annotated[list[str] | None, typer.Option(metavar="METRIC=VALUE", help="Exit with 1 above it.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Measure the answers to questions of your own; exits with 1 if a bound is not kept."""
    from service.evaluation import commands
    from service.evaluation.figures import parse_gate

    try:
        gates = [
            *(parse_gate(one, is_lower_bound=True) for one in fail_under or ()),
            *(parse_gate(one, is_lower_bound=False) for one in fail_over or ()),
        ]
    except ValueError as error:
        raise InvalidQuestions(str(error)) from None
    wanted = commands.Evaluation(
        questions=questions, collection=collection, corpus=corpus, against=against, output=output, gates=gates
    )
    _tell(commands.evaluate(_settings(data=data), wanted), as_json=as_json)


@app.command()
def calibrate(
    questions: Annotated[Path | None, typer.Argument(metavar="QUESTIONS.jsonl", show_default=False)] = None,
    corpus: Corpus = None,
    collection: CollectionName = "default",
    precision: Annotated[float, typer.Option(min=0, max=1, help="Of the answers that are given.")] = 0.85,
    output: Annotated[Path, typer.Option(file_okay=False, help="Where figures and pictures go.")] = Path(
        "loccit-calibration"
    ),
    reset: Annotated[bool, typer.Option("--reset", help="Remove what was fitted; takes no questions.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Fit confidence and threshold to questions of your own; a service takes them at its next start."""
    from service.evaluation import commands

    settings = _settings(data=data)
    if reset or questions is None:
        if reset == (questions is not None):
            raise InvalidQuestions("Name a file of questions, or give --reset alone.")
        _tell(commands.reset_calibration(settings), as_json=as_json)
        return
    wanted = commands.Calibrating(
        questions=questions, collection=collection, corpus=corpus, precision=precision, output=output
    )
    _tell(commands.calibrate(settings, wanted), as_json=as_json)


documents.add_to(app)
backups.add_to(app)
keys.add_to(app)


def main() -> None:
    try:
        app()
    except InvalidQuestions as error:
        _fail(str(error), WRONG_USAGE)
    except ValidationError as error:
        _fail("; ".join(f"LOCCIT_{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors()), WRONG_USAGE)
    except httpx.TransportError:
        _fail("No service answers at that address; start one with `loccit serve`.", FAILED)
    except (Refused, LoccitError, OSError) as error:
        _fail(str(error), FAILED)


def _fail(reason: str, code: int) -> None:
    typer.echo(f"loccit: {_plain(reason)}", err=True)
    sys.exit(code)


def _watch(settings: Settings, request: Request, *, as_json: bool) -> None:
    from service import folder_command

    def tell(report: Report) -> None:
        if report.is_eventful or as_json:
            _tell_report(report, as_json=as_json)
        if report.is_interrupted:
            raise KeyboardInterrupt

    typer.echo(f"Following {', '.join(map(_plain, request.names))}; stop it with Ctrl+C.", err=True)
    try:
        folder_command.follow(settings, request, tell)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _tell_report(report: Report, *, as_json: bool) -> None:
    _print(report.record(), [_plain(line) for line in report.lines()], as_json=as_json)
    for failure in report.outcome.failures:
        typer.echo(f"failed: {_plain(failure.path)}: {_plain(failure.problem)}", err=True)
    for omission in report.outcome.omissions:
        typer.echo(f"in part: {_plain(omission.path)}: {_plain(omission.warning)}", err=True)


def _tell(outcome: Outcome, *, as_json: bool) -> None:
    _print(outcome.record, list(outcome.lines), as_json=as_json)
    for note in (*outcome.notes, *outcome.failures):
        typer.echo(f"loccit: {_plain(note)}", err=True)
    if outcome.failures:
        raise typer.Exit(FAILED)


def _answer_lines(answer: dict[str, Any]) -> list[str]:
    lines = []
    if answer["question_used"] != answer["question"]:
        lines.append(f"Understood as: {_plain(answer['question_used'])}")
    if not answer["answered"]:
        reason = REASONS.get(answer["no_answer_reason"], answer["no_answer_reason"].replace("_", " "))
        lines += [f"No answer was found ({reason}). The closest passages:", ""]
        return lines + _passage_lines(answer["passages"][:3])
    lines.append(typer.style(_plain(answer["answer"]), bold=_is_terminal()))
    for citation in answer["citations"]:
        lines += ["", f"[{citation['number']}] {_marked_quote(citation)}", f"    {_place(citation)}"]
    return lines


def _marked_quote(citation: dict[str, Any]) -> str:
    quote_text, start, end = citation["quote"], citation["answer_start"], citation["answer_end"]
    if start is None:
        return _plain(quote_text)
    first, last = start - citation["start"], end - citation["start"]
    return _plain(quote_text[:first]) + _mark(_plain(quote_text[first:last])) + _plain(quote_text[last:])


def _passage_lines(passages: list[dict[str, Any]]) -> list[str]:
    return [line for one in passages for line in (f"{one['rank']}. {_plain(one['text'])}", f"   {_place(one)}", "")]


def _place(cited: dict[str, Any]) -> str:
    title = f"{_plain(cited['title'])} · " if cited["title"] else ""
    return f"{title}{cited['document_id']}, version {cited['version']}, {cited['start']}–{cited['end']}"


def _mark(text: str) -> str:
    return typer.style(text, bold=True) if _is_terminal() else f"[{text}]"


def _is_terminal() -> bool:
    return sys.stdout.isatty()
