"""The composition root: settings in, running parts out. The only file that names adapters."""

from __future__ import annotations

import hashlib
import logging
from contextlib import ExitStack
from dataclasses import dataclass

from embeddings.corpus.database import reading_file
from embeddings.encoders.compiled import DEFAULT_MODEL, MANIFEST, CompiledEncoder
from embeddings.errors import ModelUnavailable
from embeddings.following import FollowedLibrary
from embeddings.indexes.faiss import FlatIndexes, IndexesBySize
from embeddings.indexes.inverted import InvertedIndexes
from embeddings.indexes.tantivy import TantivyIndexes
from embeddings.ingestion import Ingestion
from embeddings.inspection import Finding, inspect
from embeddings.library import Library
from embeddings.loaders.formats import all_formats
from embeddings.loaders.scans import Tesseract
from embeddings.parts import Parts
from embeddings.ports import Encoder
from service.answerers.pool import Answerers
from service.answering.answering import Answering
from service.answering.calibration import CalibratedReader, Calibration, UnsoundCalibration
from service.answering.ports import Reader
from service.answering.readers.quoting import QuotingReader
from service.answering.readers.span import MANIFEST as READER_MANIFEST
from service.answering.readers.span import SHIPPED, SpanReader
from service.answering.spelling import Speller
from service.jobs import Jobs
from service.keys import Keys
from service.seeds import load_seeds
from service.settings import Settings

logger = logging.getLogger(__name__)

BUNDLED = "bundled"
MOST_EXACT = 120_000
"""Passages that are searched exactly, in some 5 ms: see `docs/decisions/0013-approximate-search.md`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Everything that runs behind the edge."""

    settings: Settings
    encoder: Encoder
    reader: Reader
    library: Library
    jobs: Jobs
    keys: Keys
    answering: Answering
    answerers: Answerers

    def close(self) -> None:
        """Finish what is being written, checkpoint, free the data folder."""
        self.answerers.stop()
        self.jobs.close()
        self.library.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowingEngine:
    """What answers for a process that serves."""

    settings: Settings
    library: FollowedLibrary
    answering: Answering

    def close(self) -> None:
        self.library.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Models:
    encoder: Encoder
    reader: Reader
    answering: Answering
    parts: Parts


def start(settings: Settings) -> Engine:
    """Open the data folder, load the models, take up unfinished jobs. Raises StoreLocked, ModelUnavailable."""
    with ExitStack() as begun:
        models = _models(settings, only_reads=False)
        library = Library(settings.data, models.parts, free_disk_floor_bytes=settings.free_disk_floor_bytes)
        begun.callback(library.close)
        load_seeds(library, wanted=settings.seeds)
        engine = Engine(
            settings=settings,
            encoder=models.encoder,
            reader=models.reader,
            library=library,
            jobs=Jobs(library),
            keys=Keys(library),
            answering=models.answering,
            answerers=Answerers(settings),
        )
        begun.pop_all()
        return engine


def follow(settings: Settings) -> FollowingEngine:
    """Load the models, and follow a data folder that another process has opened. Raises ModelUnavailable."""
    models = _models(settings, only_reads=True)
    return FollowingEngine(
        settings=settings, library=FollowedLibrary(settings.data, models.parts), answering=models.answering
    )


def _models(settings: Settings, *, only_reads: bool) -> _Models:
    encoder = make_encoder(settings)
    reader = calibrated(make_reader(settings, encoder), encoder, settings)
    answering = Answering(
        reader=reader,
        encoder_name=encoder.name,
        foreign=_foreign_reader(settings, encoder, reader),
        speller=Speller(encoder.tokenizer.known_words()),
    )
    made_of = parts(encoder, _tesseract(settings), only_reads=only_reads)
    return _Models(encoder=encoder, reader=reader, answering=answering, parts=made_of)


def has_keys(settings: Settings) -> bool:
    """Whether the data folder holds keys, without opening all of it."""
    registry = settings.data / "system.db"
    if not registry.is_file():
        return False
    with reading_file(registry) as connection:
        if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'keys'").fetchone() is None:
            return False
        return connection.execute("SELECT 1 FROM keys LIMIT 1").fetchone() is not None


def calibrated(reader: Reader, encoder: Encoder, settings: Settings) -> Reader:
    """With the user's own calibration where there is a sound one."""
    try:
        calibration = own_calibration(reader, encoder, settings)
    except UnsoundCalibration as error:
        logger.error("goes on without the calibration in %s: %s", settings.calibration_file, error)
        return reader
    return reader if calibration is None else CalibratedReader(reader, calibration)


def own_calibration(reader: Reader, encoder: Encoder, settings: Settings) -> Calibration | None:
    """What `loccit calibrate` wrote, if it ever did. Raises UnsoundCalibration."""
    if settings.calibration_file is None or not settings.calibration_file.exists():
        return None
    calibration = Calibration.load(settings.calibration_file)
    calibration.require_fit(reader=reader.name, encoder=encoder.name)
    return calibration


def parts(encoder: Encoder, tesseract: Tesseract | None = None, *, only_reads: bool = False) -> Parts:
    return Parts(
        encoder=encoder,
        ingestion=Ingestion(all_formats(tesseract), encoder.tokenizer),
        vectors=IndexesBySize(few=FlatIndexes(), many=InvertedIndexes(maps=only_reads), most_of_few=MOST_EXACT),
        words=TantivyIndexes(),
    )


def _tesseract(settings: Settings) -> Tesseract | None:
    """Raises ModelMissing where scans are to be recognised and cannot be."""
    return Tesseract.find(settings.ocr) if settings.ocr else None


def make_encoder(settings: Settings) -> Encoder:
    """The bundled encoder, or the one that the settings name. Raises ModelMissing, ModelUnsound."""
    if settings.encoder_engine == "sentence-transformers":
        from embeddings.encoders.compilation import default_model
        from embeddings.encoders.live import LiveEncoder

        return LiveEncoder.load(settings.encoder if _is_chosen(settings) else default_model())
    if not _is_chosen(settings):
        return CompiledEncoder.load(DEFAULT_MODEL, threads=settings.threads)
    return _compiled_once(settings)


def make_reader(settings: Settings, encoder: Encoder) -> Reader:
    """The trained reader, the one without weights, or any extractive model. Raises ModelMissing, ModelUnsound."""
    if settings.reader == "quoting":
        return QuotingReader(encoder)
    if settings.reader == BUNDLED:
        return SpanReader.load(SHIPPED, threads=settings.threads)
    folder = settings.data / "readers" / hashlib.sha256(settings.reader.encode()).hexdigest()[:16]
    if not (folder / READER_MANIFEST).is_file():
        from service.answering.readers.compilation import compile_question_answering

        logger.warning("compiling the reader, once; this takes a minute or more", extra={"reader": settings.reader})
        compile_question_answering(settings.reader, folder)
    return SpanReader.load(folder, threads=settings.threads)


def _foreign_reader(settings: Settings, encoder: Encoder, reader: Reader) -> Reader | None:
    """For questions in other letters than Latin ones, which neither of the bundled models can read."""
    if not _is_chosen(settings):
        return None
    return QuotingReader(encoder) if settings.reader == BUNDLED else reader


def _is_chosen(settings: Settings) -> bool:
    return settings.encoder != BUNDLED


def _compiled_once(settings: Settings) -> Encoder:
    """Compile the chosen model at first use and keep it beside the data."""
    folder = settings.data / "encoders" / hashlib.sha256(settings.encoder.encode()).hexdigest()[:16]
    if not (folder / MANIFEST).is_file():
        from embeddings.encoders.compilation import compile_encoder

        logger.warning("compiling the encoder, once; this takes a minute or more", extra={"encoder": settings.encoder})
        compile_encoder(settings.encoder, folder)
    return CompiledEncoder.load(folder, threads=settings.threads)


def doctor(settings: Settings, *, repair: bool = False) -> list[Finding]:
    """Check the models, then every byte of the store. Raises StoreLocked while a service holds the data folder."""
    try:
        encoder = make_encoder(settings)
    except ModelUnavailable as error:
        return [Finding(name="encoder", ok=False, detail=str(error))]
    try:
        reader = make_reader(settings, encoder)
    except ModelUnavailable as error:
        return [Finding(name="reader", ok=False, detail=str(error))]
    models = [
        Finding(name="encoder", ok=True, detail=f"{encoder.name}: files and reference vectors are sound"),
        Finding(name="reader", ok=True, detail=reader.name),
        _inspect_calibration(reader, encoder, settings),
    ]
    if not settings.data.is_dir():
        return [*models, Finding(name="store", ok=True, detail="nothing stored yet")]
    return [*models, *inspect(settings.data, parts(encoder, _tesseract(settings)), repair=repair)]


def _inspect_calibration(reader: Reader, encoder: Encoder, settings: Settings) -> Finding:
    try:
        found = own_calibration(reader, encoder, settings)
    except UnsoundCalibration as error:
        return Finding(name="calibration", ok=False, detail=f"{settings.calibration_file}: {error}")
    if found is None:
        return Finding(name="calibration", ok=True, detail="none of its own; the reader's confidence is taken as it is")
    return Finding(
        name="calibration", ok=True, detail=f"fitted to {found.questions} questions, threshold {found.threshold:.3f}"
    )
