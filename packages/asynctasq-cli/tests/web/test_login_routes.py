"""Signing in and out, refused requests, and security headers."""

import re

import pytest

pytest.importorskip("starlette", reason="needs the extra web")
pytest.importorskip("httpx", reason="needs httpx")

from asynctasq.errors import ConfigError
from asynctasq_cli.web import create_app, login_routes
from asynctasq_cli.web.security import KnownHosts
from asynctasq_cli.web.sessions import COOKIE, TRIES

pytestmark = pytest.mark.anyio

READ_PATHS = ["/api/facts", "/api/events", "/api/tasks", "/api/task", "/api/settings"]


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_routes, "WRONG_TOKEN_DELAY", 0.0)


async def test_without_a_token_no_session_is_needed(client, config) -> None:
    page = client(create_app(config))
    answer = await page.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (await page.get("/login")).headers["location"] == "/"
    assert (await page.get("/api/facts")).json()["sessions"] is False


async def test_with_a_token_everything_needs_a_session(client, config, token) -> None:
    page = client(create_app(config, token=token, allow_actions=True))
    answer = await page.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    for path in READ_PATHS:
        assert (await page.get(path)).status_code == 401, path
    answer = await page.post("/actions/pause", json={"queue": "q"})
    assert (answer.status_code, answer.json()) == (401, {"error": "sign in first"})


async def test_the_token_starts_a_session_and_signing_out_ends_it(client, config, token) -> None:
    page = client(create_app(config, token=token))
    answer = await page.post("/login", json={"token": token})
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    assert token not in cookie
    assert (await page.get("/")).status_code == 200
    assert (await page.get("/api/facts")).json()["sessions"] is True
    assert (await page.post("/logout", json={})).status_code == 200
    assert (await page.get("/api/facts")).status_code == 401


async def test_the_cookie_of_a_tls_connection_is_secure(client, config, token) -> None:
    page = client(create_app(config, token=token), "https://here", Origin="https://here")
    answer = await page.post("/login", json={"token": token})
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("wrong", ["wrong", "", None, 7, ["x"]])
async def test_a_wrong_token_is_refused(client, config, token, wrong: object) -> None:
    page = client(create_app(config, token=token))
    answer = await page.post("/login", json={"token": wrong})
    assert (answer.status_code, answer.json()) == (401, {"error": "wrong token"})
    assert COOKIE not in answer.cookies


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"\xff", b'{"token": "\\ud800"}', b"[" * 100_000]
)
async def test_a_body_that_is_no_object_is_refused(client, config, token, body: bytes) -> None:
    page = client(create_app(config, token=token))
    answer = await page.post("/login", content=body)
    assert (answer.status_code, answer.json()) == (
        400, {"error": "the request must be a JSON object"},
    )  # fmt: skip


async def test_a_long_body_is_refused(client, config, token) -> None:
    page = client(create_app(config, token=token))
    assert (await page.post("/login", content=b" " * 300_000)).status_code == 413


async def test_too_many_wrong_tokens_are_refused(client, config, token) -> None:
    page = client(create_app(config, token=token))
    for _ in range(TRIES):
        assert (await page.post("/login", json={"token": "wrong"})).status_code == 401
    answer = await page.post("/login", json={"token": token})
    assert answer.status_code == 429
    assert "try again in" in answer.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil"},
        {"Origin": "null"},
        {"Origin": "http://here:81"},
        {"Origin": "http://["},
        {"Origin": ""},
    ],
)
async def test_changes_from_other_origins_are_refused(client, config, token, headers) -> None:
    app = create_app(config, token=token, allow_actions=True)
    page = client(app)
    await page.post("/login", json={"token": token})
    for path in ("/login", "/logout", "/actions/pause", "/nowhere"):
        answer = await page.post(path, json={"queue": "q"}, headers=headers)
        assert answer.status_code == 403, path


async def test_a_form_cannot_change_anything(client, config, token) -> None:
    page = client(create_app(config, token=token, allow_actions=True))
    await page.post("/login", json={"token": token})
    del page.headers["X-AsyncTasQ"]
    assert (await page.post("/actions/pause", data={"queue": "q"})).status_code == 403


async def test_every_response_has_security_headers(client, config, token) -> None:
    page = client(create_app(config, token=token))
    for path in ("/", "/login", "/assets/main.js", "/api/facts", "/nowhere"):
        headers = (await page.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        kept = "no-cache" if path.startswith("/assets") else "no-store"
        assert headers["cache-control"] == kept, path


async def test_pages_hold_no_script_and_no_style_of_their_own(client, config, token) -> None:
    page = client(create_app(config, token=token))
    for text in (
        (await page.get("/login")).text,
        (login_routes.PAGES / "dashboard.html").read_text(),
    ):
        assert "style=" not in text
        assert "<style" not in text
        assert not re.search(r"\son\w+=", text)
        assert text.count("<script") == text.count('<script src="') + text.count(
            '<script type="module" src="'
        )


def test_scripts_never_parse_text() -> None:
    from asynctasq_cli.web.app import ASSETS

    for path in ASSETS.glob("*.js"):
        text = path.read_text()
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert word not in text, path


async def test_unknown_host_names_are_refused(client, config) -> None:
    app = KnownHosts(create_app(config), ["localhost", "::1"])
    for base in ("http://localhost:8321", "http://LOCALHOST", "http://[::1]:8321"):
        assert (await client(app, base).get("/api/facts")).status_code == 200, base
    answer = await client(app, "http://evil.example").get("/api/facts")
    assert answer.status_code == 403
    assert "--allow-host" in answer.json()["error"]
    assert (await client(app, Host="[").get("/api/facts")).status_code == 403


def test_actions_need_a_token(config) -> None:
    with pytest.raises(ConfigError, match="ASYNCTASQ_WEB_TOKEN"):
        create_app(config, allow_actions=True)
    with pytest.raises(ConfigError, match="16 characters"):
        create_app(config, token="short")
