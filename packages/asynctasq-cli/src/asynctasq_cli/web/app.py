"""Makes the dashboard's ASGI application: routes, middleware and error handlers."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from asynctasq import Config
from asynctasq.errors import AsyncTasQError, ConfigError
from asynctasq_cli.web.actions import ActionRoutes
from asynctasq_cli.web.dashboard import Dashboard
from asynctasq_cli.web.login_routes import LoginRoutes
from asynctasq_cli.web.read_routes import ReadRoutes
from asynctasq_cli.web.responses import on_asynctasq_error, on_http_error
from asynctasq_cli.web.security import RequireSession, SameOrigin, SecurityHeaders

ASSETS = Path(__file__).with_name("assets")


def make_app(
    config: Config, *, allow_actions: bool, token: str | None, queues: Sequence[str]
) -> Starlette:
    """See `asynctasq_cli.web.create_app`."""
    if allow_actions and token is None:
        raise ConfigError(
            "actions need a token, or anyone who reaches the dashboard can use them: set "
            "ASYNCTASQ_WEB_TOKEN or --token"
        )
    dashboard = Dashboard(config, actions=allow_actions, token=token, queues=queues)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None, None]:
        yield
        await dashboard.poller.close()

    app = Starlette(
        routes=_routes(dashboard, actions=allow_actions),
        middleware=[Middleware(SecurityHeaders), Middleware(SameOrigin)],
        exception_handlers={HTTPException: on_http_error, AsyncTasQError: on_asynctasq_error},
        lifespan=lifespan,
    )
    app.state.dashboard = dashboard
    return app


def _routes(dashboard: Dashboard, *, actions: bool) -> list[BaseRoute]:
    guard = [Middleware(RequireSession, sessions=dashboard.sessions)]
    routes: list[BaseRoute] = [*LoginRoutes(dashboard).routes()]
    routes.append(Mount("/assets", StaticFiles(directory=ASSETS)))
    if actions:
        routes.append(Mount("/actions", routes=ActionRoutes(dashboard).routes(), middleware=guard))
    routes.append(Mount("/api", routes=ReadRoutes(dashboard).routes(), middleware=guard))
    return routes
