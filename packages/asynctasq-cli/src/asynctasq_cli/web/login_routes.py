"""The routes for signing in and out, and the HTML pages."""

import asyncio
import html
import math
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from asynctasq_cli.web.bodies import json_object
from asynctasq_cli.web.dashboard import Dashboard
from asynctasq_cli.web.responses import JSON, refuse
from asynctasq_cli.web.sessions import COOKIE, LIFETIME

PAGES = Path(__file__).with_name("pages")
#: Seconds by which the response to a wrong token is delayed.
WRONG_TOKEN_DELAY = 0.5


class LoginRoutes:
    """Issues a session for the token, and serves the pages."""

    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/", self.page),
            Route("/login", self.login_page),
            Route("/login", self.sign_in, methods=["POST"]),
            Route("/logout", self.sign_out, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """Serve the dashboard; redirects to the sign-in page without a session."""
        if not self._dashboard.sessions.valid(request.cookies.get(COOKIE)):
            return RedirectResponse(f"{_root(request)}/login", 303)
        return _page(request, "dashboard.html")

    async def login_page(self, request: Request) -> Response:
        """Serve the sign-in page; redirects to the dashboard with a session."""
        if self._dashboard.sessions.valid(request.cookies.get(COOKIE)):
            return RedirectResponse(f"{_root(request)}/", 303)
        return _page(request, "login.html")

    async def sign_in(self, request: Request) -> Response:
        """Issue a session for the right token; delays and limits wrong ones."""
        address = request.client.host if request.client else ""
        wait = self._dashboard.throttle.wait(address)
        if wait > 0:
            refuse(429, f"too many wrong tokens; try again in {math.ceil(wait)} seconds")
        token: object = (await json_object(request)).get("token")
        if not isinstance(token, str) or not self._dashboard.sessions.matches(token):
            self._dashboard.throttle.failed(address)
            await asyncio.sleep(WRONG_TOKEN_DELAY)
            refuse(401, "wrong token")
        response = JSON({"said": "signed in"})
        response.set_cookie(
            COOKIE,
            self._dashboard.sessions.issue(),
            max_age=LIFETIME,
            path=_root(request) or "/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session of this browser."""
        response = JSON({"said": "signed out"})
        response.delete_cookie(COOKIE, path=_root(request) or "/", httponly=True, samesite="strict")
        return response


def _root(request: Request) -> str:
    """Return the path of the dashboard, without a trailing slash."""
    return request.scope.get("root_path", "").rstrip("/")


def _page(request: Request, name: str) -> HTMLResponse:
    text = (PAGES / name).read_text(encoding="utf-8")
    return HTMLResponse(text.replace("{base}", html.escape(f"{_root(request)}/")))
