"""Which backend the settings ask for."""

from app.runs.backends import Backend
from app.runs.backends.inline import InlineBackend
from app.runs.backends.local import LocalBackend
from app.runs.backends.ray import RayBackend
from app.settings import Settings


def backend_of(settings: Settings) -> Backend:
    """The backend that the settings name."""
    if settings.backend == "inline":
        return InlineBackend()
    if settings.backend == "ray":
        return RayBackend(settings.ray_address)
    return LocalBackend(settings.worker_memory)
