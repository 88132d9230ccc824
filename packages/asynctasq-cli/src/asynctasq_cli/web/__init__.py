"""The dashboard: queues, workers and tasks in a browser.

This module imports without the extra ``asynctasq[web]``; the others need it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from asynctasq import Config
from asynctasq.errors import ConfigError

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["create_app"]


def create_app(
    config: Config,
    *,
    allow_actions: bool = False,
    token: str | None = None,
    queues: Sequence[str] = (),
) -> "Starlette":
    """Make the dashboard as an ASGI application, to be served or mounted under any path.

    Args:
        allow_actions: adds the routes that change queues and messages.
        token: sign-in token of 16 characters or more; required for actions.
        queues: the only queues to show; all that the broker lists, if empty.

    Raises:
        ConfigError: the extra is not installed, or the token is missing or too short.
    """
    try:
        from asynctasq_cli.web.app import make_app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        raise ConfigError("the dashboard is not installed: pip install 'asynctasq[web]'") from error
    return make_app(config, allow_actions=allow_actions, token=token, queues=queues)
