"""The API's description for machines, /openapi.json: beside what the routes say of themselves, the problems that each
may answer and what its answers hold.
"""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from gatescope.app.api.answer_shapes import SHAPES, Answer, ProblemAnswer
from gatescope.app.http.problems import MEDIA_TYPE, TITLES

Description = dict[str, Any]  # an object of an OpenAPI document
JSON = "application/json"
# What any request may be answered: its head or its body is none or never comes, another site's page sends it, or
# everything is taken.
ALWAYS = (400, 403, 408, 413, 414, 415, 431, 503)
PROBLEMS = (*ALWAYS, 404, 405, 409, 422, 429, 507)
UNUSED = ("HTTPValidationError", "ValidationError")  # FastAPI's own problems, which this service never answers
RETRY_AFTER = {
    "description": "seconds after which asking again may help",
    "schema": {"type": "string", "pattern": "^[0-9]+$"},
}
LATER = (429, 503, 507)  # may be answered otherwise later, and say when


class Service(FastAPI):
    """FastAPI, whose description of the API is complete."""

    def openapi(self) -> Description:
        """The description, made when it is first asked for."""
        if self.openapi_schema is None:
            self.openapi_schema = with_answers(super().openapi())
        return self.openapi_schema


def problem_statuses(path: str, method: str, operation: Description) -> list[int]:
    """The statuses of the problems that an operation may answer; 405 where a server that only reads does not."""
    named = {parameter["name"] for parameter in operation.get("parameters", [])}
    found = {*ALWAYS}
    if named - {"id"} or "requestBody" in operation:
        found |= {422}
    if "{id}" in path or "runs" in named:
        found |= {404}
    if method == "post" and path in ("/api/models", "/api/runs"):
        found |= {405, 429, 507}
    elif "authorization" in named and method != "get":
        found |= {405, 409, 507}
    return sorted(found)


def with_answers(description: Description) -> Description:
    """FastAPI's description with every answer in it; changed in place."""
    shapes = {shape for by_status in SHAPES.values() for shape in by_status.values()} | {ProblemAnswer}
    inputs = [(shape, "serialization") for shape in sorted(shapes, key=lambda shape: shape.__name__)]
    _, made = models_json_schema(inputs, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    schemas = {name: schema for name, schema in description["components"]["schemas"].items() if name not in UNUSED}
    description["components"] = {
        "schemas": schemas | made["$defs"],
        "responses": {problem_name(status): problem_answer(status) for status in sorted(PROBLEMS)},
    }
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            answers = {status: answer for status, answer in operation["responses"].items() if status != "422"}
            for status, answer in answers.items():
                describe_content(answer, SHAPES.get(f"{method.upper()} {path}", {}).get(int(status)))
            problems = problem_statuses(path, method, operation)
            refused = {str(status): {"$ref": f"#/components/responses/{problem_name(status)}"} for status in problems}
            operation["responses"] = dict(sorted(answers.items())) | refused
    return description


def problem_name(status: int) -> str:
    """What the description calls a problem of this status."""
    return f"Problem{status}"


def problem_answer(status: int) -> Description:
    """A problem of this status, as the description has it."""
    content = {MEDIA_TYPE: {"schema": reference(ProblemAnswer)}}
    answer: Description = {"description": TITLES.get(status, HTTPStatus(status).phrase), "content": content}
    return answer | ({"headers": {"Retry-After": RETRY_AFTER}} if status in LATER else {})


def describe_content(answer: Description, shape: type[Answer] | None) -> None:
    """Say of a success what it holds; what is no JSON does not come as JSON, which FastAPI says of every answer."""
    content = answer.get("content", {})
    if shape:
        answer["content"] = {JSON: {"schema": reference(shape)}}
    elif len(content) > 1:
        content.pop(JSON, None)


def reference(shape: type[Answer]) -> Description:
    """Where the description has a shape."""
    return {"$ref": f"#/components/schemas/{shape.__name__}"}
