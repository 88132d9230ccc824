"""The dashboard under a path: mounted in an application, and behind a proxy."""

import re

import pytest

pytest.importorskip("starlette", reason="needs the extra web")
pytest.importorskip("httpx", reason="needs httpx")

from starlette.applications import Starlette
from starlette.routing import Mount

from asynctasq_cli.web import create_app

pytestmark = pytest.mark.anyio


def mounted(dashboard, path: str = "/ops/queue"):
    return Starlette(routes=[Mount(path, dashboard)])


def behind_proxy(dashboard, path: str = "/ops/queue"):
    from asynctasq_cli.web.server import UnderPath

    return UnderPath(dashboard, path)


@pytest.mark.parametrize("under", [mounted, behind_proxy])
async def test_everything_is_found_under_the_path(client, config, token, under) -> None:
    page = client(under(create_app(config, token=token, allow_actions=True)))
    answer = await page.get("/ops/queue/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ops/queue/login")
    answer = await page.get("/ops/queue/login")
    assert '<base href="/ops/queue/">' in answer.text
    answer = await page.post("/ops/queue/login", json={"token": token})
    assert "Path=/ops/queue;" in answer.headers["set-cookie"]
    html = (await page.get("/ops/queue/")).text
    assert '<base href="/ops/queue/">' in html
    for link in re.findall(r'(?:src|href)="([^"#{]+)"', html):
        if link != "/ops/queue/":
            assert not link.startswith("/"), link
            assert (await page.get(f"/ops/queue/{link}")).status_code == 200, link
    assert (await page.get("/ops/queue/api/facts")).status_code == 200
    answer = await page.post("/ops/queue/actions/pause", json={"queue": "q"})
    assert answer.json() == {"said": "paused"}


async def test_a_proxy_may_strip_the_path(client, config) -> None:
    page = client(behind_proxy(create_app(config)))
    for path in ("/", "/ops/queue", "/ops/queue/"):
        answer = await page.get(path)
        assert answer.status_code == 200, path
        assert '<base href="/ops/queue/">' in answer.text
    assert (await page.get("/api/facts")).status_code == 200
    assert (await page.get("/assets/main.js")).status_code == 200


async def test_a_path_cannot_break_out_of_the_page(client, config) -> None:
    page = client(behind_proxy(create_app(config), '/"><script>'))
    assert "<script>" not in (await page.get("/")).text
