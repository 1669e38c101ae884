import json
import re

import pytest

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


NOT_THERE = ["/embed/none", "/embed/", "/embed/..%2fbench", "/nothing", "/static/", "/static/none.js"]
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


def test_the_manual_names_every_address_and_field(client):
    page = client.get("/docs").text
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in page
    for word in ("temperature", "precision", "from 1 to 2,000"):
        assert word in page
    assert not re.findall(r"""(?:src|href)=["']https?:""", page)  # nothing comes from elsewhere
