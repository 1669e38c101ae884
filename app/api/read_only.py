"""How a process does that only reads."""

from fastapi import APIRouter, Request

router = APIRouter(include_in_schema=False)


@router.get("/readyz")
def reader_readiness(request: Request) -> dict[str, str]:
    """Whether the runs that another process keeps can be read now: else 503."""
    request.app.state.store.get("")
    return {"status": "ready"}
