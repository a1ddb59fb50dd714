"""Everything that can be set from outside, and the only reader of the environment. Described in `docs/settings.md`."""

from __future__ import annotations

import ipaddress
import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.limits import Limits

_PREFIX = "LOCCIT_"
MOST_PROCESSES = 3
"""Unless it is set otherwise: each takes memory."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    url: str | None = None
    data: Path = Field(default_factory=lambda: Path.home() / ".local" / "share" / "loccit")
    seeds: bool = True
    encoder: str = "bundled"
    encoder_engine: Literal["compiled", "sentence-transformers"] = "compiled"
    reader: str = "bundled"
    calibration: str = "calibration.json"
    ocr: str = Field(default="", pattern=r"^([A-Za-z_]{2,24}(\+[A-Za-z_]{2,24})*)?$")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    api_key: SecretStr | None = Field(default=None, min_length=16)
    threads: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=256)
    processes: int = Field(default_factory=lambda: min(MOST_PROCESSES, (os.cpu_count() or 1) - 1), ge=0, le=64)
    waiting_reads: int = Field(default=64, ge=1)
    waiting_writes: int = Field(default=32, ge=1)
    longest_wait_seconds: float = Field(default=5.0, gt=0)
    max_question_bytes: int = Field(default=65_536, ge=1_024)
    max_question_characters: int = Field(default=Limits.question_characters, ge=1)
    max_top_k: int = Field(default=Limits.top_k, ge=10)
    max_batch: int = Field(default=Limits.batch, ge=1)
    max_document_bytes: int = Field(default=50_000_000, ge=1_024)
    free_disk_floor_bytes: int = Field(default=500_000_000, ge=0)
    graceful_stop_seconds: int = Field(default=20, ge=0)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("allowed_hosts", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return (
            tuple(part.strip().lower() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )

    @property
    def limits(self) -> Limits:
        return Limits(question_characters=self.max_question_characters, top_k=self.max_top_k, batch=self.max_batch)

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def calibration_file(self) -> Path | None:
        """None where the reader's confidence is to be taken as it is."""
        return None if self.calibration == "off" else self.data / self.calibration


def unknown_variables() -> list[str]:
    """Names in the environment that look like settings and are none, most likely misspelt."""
    known = {_PREFIX + name.upper() for name in Settings.model_fields}
    return sorted(name for name in os.environ if name.upper().startswith(_PREFIX) and name.upper() not in known)


def environment_of_children() -> dict[str, str]:
    """As it is here, and with the modules that are found here."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
