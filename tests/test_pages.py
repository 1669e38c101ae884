import html
import json
import re

import pytest

from gatescope.app.pages.api_docs import operations
from gatescope.app.pages.documentation import documentation, render_page
from gatescope.app.pages.pages import PLOTLY, views


def carried(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="first-light">(.*?)</script>', page, re.S)[1])


def test_the_bench_carries_its_first_picture(client):
    response = client.get("/", params={"model": "small-lstm", "text": "</script><script>alert(x)</script>"})
    assert response.status_code == 200 and response.headers["content-type"].startswith("text/html")
    assert carried(response.text)["address"]["text"] == "</script><script>alert(x)</script>"
    assert "<script>alert" not in response.text


def test_a_wrong_address_still_gives_a_page(client):
    response = client.get("/", params={"model": "none", "text": ""})
    assert response.status_code == 200 and carried(response.text)["notice"]


def test_every_view_stands_alone(client):
    assert {"unfold", "gates", "text", "gradients", "generate"} <= set(views())
    for view in views():
        response = client.get(f"/embed/{view}", params={"model": "small-gru"})
        assert response.status_code == 200 and carried(response.text)["events"]
        assert response.headers["content-security-policy"].endswith("frame-ancestors *")


NOT_THERE = ["/embed/none", "/embed/", "/embed/..%2fbench", "/nothing", "/static/", "/static/none.js", "/docs/none"]
OUTSIDE = ["../app/server.py", "%2e%2e/app/server.py", "..%5capp%5cserver.py", "/etc/passwd", "bench.js%00.png"]


@pytest.mark.parametrize("path", NOT_THERE)
def test_what_is_not_there_is_not_found(client, path):
    response = client.get(path)
    assert response.status_code == 404 and response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", OUTSIDE)
def test_static_stays_in_its_directory(client, path):
    assert client.get(f"/static/{path}").status_code == 404


def test_everything_a_page_names_is_served(client):
    page = client.get("/").text
    named = re.findall(r'(?:src|href)="(/[^"]+)"', page)
    assert any(name.startswith("/static/bench.js") for name in named)
    for name in named:
        assert client.get(name).status_code == 200, name


def test_plotly_is_served_once_a_year(client):
    response = client.get(f"/plotly.min.js?v={PLOTLY}")
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.headers["content-encoding"] == "gzip" and response.text.startswith("/**")
    plain = client.get("/plotly.min.js", headers={"Accept-Encoding": "identity"})
    assert plain.headers["cache-control"] == "no-cache" and plain.content == response.content


def test_the_front_page_leads_to_every_operation(client):
    page = client.get("/docs").text
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method in methods:
            assert re.search(rf"<b>{method.upper()}</b>\s*<a href=\"[^\"]+\"><code>{re.escape(path)}</code>", page)


def test_the_page_of_the_api_has_every_operation_with_its_fields(client):
    page, schema = client.get("/docs/api").text, client.get("/openapi.json").json()
    for operation in operations(schema):
        section = page.partition(f'<h3 id="{operation.anchor}">')[2].partition("</section>")[0]
        assert f"{operation.method} {operation.path}</code>" in section
        assert [field.name for field in operation.fields if f"<code>{field.name}</code>" not in section] == []
    for words in ("temperature", "precision", "from 1 to 2,000"):
        assert words in page


def test_the_page_of_the_cells_has_every_cell_with_its_equations(client):
    page = html.unescape(client.get("/docs/cells").text)
    for cell in client.get("/api/cells").json()["cells"]:
        section = page.partition(f'<h3 id="{cell["id"]}">')[2].partition("</section>")[0]
        wanted = [signal["equation"] for signal in cell["signals"]] + [
            f"<code>{name}</code>" for name in cell["options"]
        ]
        assert section and [each for each in wanted if each not in section] == []


def addresses(page: str) -> set[str]:
    return set(re.findall(r'(?:href|src)="([^"]+)"', page)) - {"/openapi.json"}


def test_every_link_of_the_documentation_leads_somewhere(client):
    waiting, anchors, links = {"/docs"}, {}, set()
    while waiting:
        address = waiting.pop()
        response = client.get(address)
        assert response.status_code == 200, address
        if not address.startswith("/docs"):
            continue
        ids = re.findall(r' id="([^"]+)"', response.text)
        assert len(set(ids)) == len(ids), address
        anchors[address] = set(ids)
        found = {each if each.startswith("/") else address + each for each in addresses(response.text) - {"data:"}}
        links |= {each for each in found if "#" in each}
        waiting |= {each.partition("#")[0] for each in found if "data:" not in each} - set(anchors)
    assert len(anchors) == 1 + len(documentation())
    assert [link for link in links if link.partition("#")[2] not in anchors[link.partition("#")[0]]] == []


def test_the_documentation_is_linked_from_every_page_but_the_bare_ones(client):
    for path in ("/", "/train", "/runs/none", "/docs", "/docs/start"):
        assert '<a href="/docs"' in client.get(path).text, path
    for path in ("/embed/text", "/embed/run"):
        assert 'href="/docs"' not in client.get(path).text, path


def test_html_in_markdown_is_shown_and_not_obeyed():
    page = render_page("page", "# T & t\n\nA `code`\nline.\n\n## Two words\n\n<script>alert(1)</script>\n")
    assert page.title == "T & t" and page.summary == "A code line."
    assert [section.anchor for section in page.sections] == ["two-words"]
    assert '<h2 id="two-words"><a href="#two-words">Two words</a></h2>' in page.html
    assert "<script" not in page.html and "&lt;script" in page.html


@pytest.mark.parametrize("path", ["/nope", "/docs/nope", "/embed/nope", "/api/nope", "/a/b/<script>"])
def test_where_nothing_is_people_get_a_page_and_programs_a_problem(client, path):
    for accept, kind in (
        ("text/html,*/*;q=0.8", "text/html"),
        ("*/*", "application/problem+json"),
        ("", "application"),
    ):
        answer = client.get(path, headers={"Accept": accept})
        assert answer.status_code == 404 and answer.headers["content-type"].startswith(kind)
        assert "nope" not in answer.text and "<script>" not in answer.text
    page = client.get(path, headers={"Accept": "text/html"}).text
    assert all(f'href="{place}"' in page for place in ("/", "/train", "/docs"))
    assert client.post(path, headers={"Accept": "text/html"}).status_code in (404, 405, 415)
