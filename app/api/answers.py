"""What the API's description says of its answers."""

from typing import Any

Answers = dict[int | str, dict[str, Any]]  # by status, as FastAPI takes them


def answer(description: str, media_type: str = "application/json") -> Answers:
    """The one answer of a route that succeeds."""
    return {200: {"description": description, "content": {media_type: {}}}}
