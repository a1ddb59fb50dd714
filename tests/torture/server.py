"""The service as it is, but for an encoder that costs nothing and checkpoints that come all the time."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import uvicorn

from embeddings import library as upkeep
from embeddings.encoders.hashing import HashingEncoder
from embeddings.library import Library
from embeddings.live_view import Patience
from service.answerers.pool import Answerers
from service.answering.answering import Answering
from service.answering.readers.quoting import QuotingReader
from service.api.app import create_app
from service.bootstrap import Engine, parts
from service.jobs import Jobs
from service.keys import Keys
from service.settings import Settings

IMPATIENT = Patience(rows=10, tail_share=0.0, removed_share=0.0)


def make_engine(data: Path) -> Engine:
    upkeep.LOOK_SECONDS = 0.02
    for patience in ("AT_REST", "WHILE_WRITING"):
        setattr(upkeep, patience, IMPATIENT)
    encoder = HashingEncoder()
    library = Library(data, parts(encoder), free_disk_floor_bytes=0)
    library.create("default")
    settings = Settings(data=data, seeds=False, processes=0, free_disk_floor_bytes=0)  # They would encode in earnest.
    return Engine(
        settings=settings,
        encoder=encoder,
        reader=QuotingReader(encoder),
        library=library,
        jobs=Jobs(library),
        keys=Keys(library),
        answering=Answering(reader=QuotingReader(encoder), encoder_name=encoder.name),
        answerers=Answerers(settings),
    )


def serve(data: str, socket: str) -> None:
    with closing(make_engine(Path(data))) as engine:
        app = create_app(engine.settings, engine=engine)
        uvicorn.Server(uvicorn.Config(app, uds=socket, log_config=None, access_log=False, lifespan="on")).run()
