"""What a person who runs Gatescope can choose; each setting is also an environment variable GATESCOPE_<NAME>."""

import os
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")
# What a server for strangers takes in place of the defaults; what a person has set stays as it is.
FOR_STRANGERS: dict[str, Any] = {
    "text_limit_post": 10_000,
    "body_limit": 256 * 2**10,
    "upload_limit": 16 * 2**20,
    "upload_count": 200,
    "upload_space": 2**30,
    "run_text_limit": 2 * 2**20,
    "run_space": 2**30,
    "runs_per_owner": 3,
    "queue_limit": 100,
    "address_share": 0.25,
    "worker_memory": 2 * 2**30,
    "worker_hours": 1.0,
    "keep_days": 7.0,
    "computation_memory": 320 * 2**20,
    "computation_work": 100_000_000_000,
    "metrics": "loopback",
}


class CannotServe(Exception):
    """The service cannot be started as it is set up; the message says why and what to do."""


class Settings(BaseSettings):
    """The settings, read from the environment; a flag of the command line goes before it."""

    model_config = SettingsConfigDict(env_prefix="GATESCOPE_")

    host: str = Field("127.0.0.1", description="address the server listens on")
    port: int = Field(8000, ge=1, le=65535, description="port the server listens on")
    data: Path = Field(
        Path("~/.local/share/gatescope"), description="directory whose *.safetensors are served beside the shipped ones"
    )
    text_limit_post: int = Field(20_000, ge=1, description="most characters of a text sent by POST")
    text_limit_get: int = Field(2_000, ge=1, description="most characters of a text sent by GET")
    body_limit: int = Field(1_048_576, ge=1, description="most bytes of a request's body")
    upload_limit: int = Field(67_108_864, ge=1, description="most bytes of an uploaded network")
    upload_count: int = Field(1_000, ge=0, description="most uploaded networks that are kept")
    upload_space: int = Field(8 * 2**30, ge=0, description="most bytes of all uploaded networks together")
    run_text_limit: int = Field(16_777_216, ge=1, description="most bytes of a text to train on")
    vocabulary_limit: int = Field(2_000, ge=2, description="most different characters of a text to train on")
    runs_per_owner: int = Field(20, ge=1, description="most runs of one owner that wait, train or pause at once")
    runs_per_minute: int = Field(600, ge=1, description="most runs that one address may start in a minute")
    queue_limit: int = Field(1_000, ge=1, description="most runs that may wait for their turn")
    viewer_limit: int = Field(1_000, ge=1, description="most event streams open at once")
    computations: int = Field(
        max(2, os.cpu_count() or 2), ge=1, le=256, description="readings of networks computed at the same time"
    )
    computation_memory: int = Field(640 * 2**20, ge=2**20, description="most bytes of memory that one of them may hold")
    computation_work: int = Field(1_000_000_000_000, ge=1, description="most multiply-adds of one of them")
    computation_wait: float = Field(
        5.0, ge=0, description="seconds that a reading waits for its turn before it gets 503"
    )
    memory_at_once: int = Field(
        640 * 2**20, ge=2**20, description="most bytes that all readings and bodies on their way hold together"
    )
    cache_memory: int = Field(128 * 2**20, ge=0, description="most bytes of networks kept in memory between requests")
    keep_days: float = Field(0, ge=0, description="days after which a run that is over is deleted; 0 keeps it")
    run_space: int = Field(8 * 2**30, ge=0, description="bytes of all runs at which no new one is taken")
    address_share: float = Field(
        0.5, gt=0, le=1, description="most of the queue, of the uploads and of their space that one address may take"
    )
    trusted_proxies: str = Field(
        "",
        pattern=r"^[A-Za-z0-9.:/,* ]*$",
        description="addresses of proxies whose X-Forwarded-For is believed, with commas between; empty: nobody's",
    )
    public: bool = Field(False, description="serve strangers: tight limits, nothing listed, what is over expires")
    reads_only: bool = Field(False, description="serve what another process on the same data keeps, and change nothing")
    sandboxed_networks: bool = Field(
        False, description="let frames without an origin show networks of the data directory too"
    )
    metrics: Literal["everyone", "loopback"] = Field("everyone", description="who may read /metrics")
    log_format: Literal["text", "json"] = Field("text", description="how the log is written: for people or programs")
    backend: Literal["local", "inline", "ray"] = Field("local", description="where runs train: here, or on Ray")
    ray_address: str = Field("auto", description="address of the Ray cluster that backend=ray uses")
    workers: int = Field(
        max(1, (os.cpu_count() or 2) - 1), ge=1, le=256, description="runs that train at the same time"
    )
    worker_memory: int = Field(4 * 2**30, ge=2**20, description="most bytes of memory that a run may take")
    worker_hours: float = Field(24.0, gt=0, description="most hours that a run may train")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="what runs train on: processors, a GPU (cuda), or the GPU where there is one"
    )
    kernel: Literal["auto", "numpy", "compiled"] = Field(
        "auto", description="what runs the cells: auto, numpy or compiled"
    )
    allowed_hosts: str = Field(
        "",
        pattern=r"^ *((\*|(\*\.)?[A-Za-z0-9.:\[\]\-]+)( +|$))*$",
        description="host names it answers to, separated by spaces; empty: loopback's on loopback, else every name",
    )
    frame_ancestors: str = Field(
        "*",
        pattern=r"^[A-Za-z0-9.:/*'\- ]+$",
        description="origins that may show /embed pages in a frame, separated by spaces; * is everywhere",
    )

    @model_validator(mode="after")
    def _suit_strangers(self) -> Self:
        if self.public:
            for name, value in FOR_STRANGERS.items():
                if name not in self.model_fields_set:
                    setattr(self, name, value)
        return self

    def refuse_every_host(self) -> None:
        """Raises CannotServe where strangers are to be served under any name: a page of another site could give itself
        one.
        """
        if self.public and (not self.allowed_hosts.strip() or "*" in self.allowed_hosts.split()):
            raise CannotServe(
                "strangers are served under names of your own only: set GATESCOPE_ALLOWED_HOSTS to the host names that "
                "people will use, such as lab.example"
            )

    def hosts(self) -> list[str]:
        """The host names a request may name; `*` is every name. Loopback's own cannot be misused and always may."""
        if self.allowed_hosts.strip():
            return [*self.allowed_hosts.split(), *LOOPBACK]
        return list(LOOPBACK) if self.host in LOOPBACK else ["*"]
