"""What /openapi.json says of answers, for whoever makes a client or a test of it."""

import pytest

from gatescope.app.server import create_app
from gatescope.app.settings import Settings


@pytest.fixture(scope="module")
def description(data) -> dict:
    return create_app(Settings(data=data)).openapi()


def operations(description: dict) -> dict[str, dict]:
    paths = description["paths"].items()
    return {f"{method.upper()} {path}": each for path, methods in paths for method, each in methods.items()}


def test_every_problem_is_documented_as_one(description):
    problems = description["components"]["responses"]
    for name, problem in problems.items():
        assert [*problem["content"]] == ["application/problem+json"] and problem["description"], name
        assert ("headers" in problem) == (name in ("Problem429", "Problem503", "Problem507"))
    for name, operation in operations(description).items():
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert answer == {"$ref": f"#/components/responses/Problem{status}"}, name
                assert f"Problem{status}" in problems
        assert "500" not in operation["responses"] and {"400", "503"} <= {*operation["responses"]}, name


def test_which_problems_a_route_may_answer_follows_from_what_it_takes(description):
    refused = {
        name: {status for status in operation["responses"] if int(status) >= 400}
        for name, operation in operations(description).items()
    }
    always = refused["GET /healthz"]
    assert always == refused["GET /api/cells"] and not {"404", "422"} & always
    assert refused["GET /api/trace"] - always == {"422"}
    assert refused["POST /api/trace"] - always == {"422"}
    assert refused["GET /api/models/{id}"] - always == {"404"}
    assert refused["POST /api/runs"] - always == {"405", "422", "429", "507"}
    assert refused["POST /api/runs/{id}/stop"] - always == {"404", "405", "409", "422", "507"}


def test_every_json_answer_has_a_shape_and_nothing_else_comes_as_json(description):
    shapes = description["components"]["schemas"]
    for name, operation in operations(description).items():
        for status, answer in operation["responses"].items():
            for kind, content in answer.get("content", {}).items():
                if kind == "application/json":
                    assert content["schema"]["$ref"].rpartition("/")[2] in shapes, (name, status)
    assert [*operations(description)["GET /api/trace"]["responses"]["200"]["content"]] == ["text/event-stream"]
    weights = operations(description)["GET /api/models/{id}/weights"]["responses"]["200"]
    assert [*weights["content"]] == ["application/octet-stream"]
    assert "HTTPValidationError" not in shapes


def test_an_address_names_every_method_it_takes(client):
    allowed = {
        "/api/trace": "GET, HEAD, POST",
        "/api/models": "GET, HEAD, POST",
        "/api/models/x": "GET, HEAD, DELETE",
        "/api/runs/x": "GET, HEAD, DELETE",
        "/api/generate": "POST",
    }
    for path, methods in allowed.items():
        response = client.put(path)
        assert (response.status_code, response.headers["allow"]) == (405, methods)


def test_the_page_of_every_route_shows_its_problems(client):
    page = client.get("/docs/api").text
    section = page.partition('id="post-api-trace"')[2].partition("</section>")[0]
    assert 'href="/docs/service#errors"' in section and "<code>422</code>" in section
    assert "<code>400</code>" not in section  # as any request may be
