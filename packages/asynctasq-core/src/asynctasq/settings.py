"""The base of all settings: the sources of a value, and errors that suggest a fix.

A setting has one flat name, which is its keyword (``redis_url``), its environment variable
(``ASYNCTASQ_REDIS_URL``), its line in ``.env``, its key in ``[tool.asynctasq]`` of
``pyproject.toml`` and its command line option (``--redis-url``). The first source that has a value
wins, in the order: keyword or option, environment, ``.env``, ``pyproject.toml``, default.
"""

import difflib
from collections.abc import Iterable
from typing import cast
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    PyprojectTomlConfigSettingsSource,
    SettingsConfigDict,
)

from asynctasq.errors import ConfigError

ENV_PREFIX = "ASYNCTASQ_"


class Settings(BaseSettings):
    """A frozen set of settings; unknown keywords and invalid values raise `ConfigError`."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_file=".env",
        env_ignore_empty=True,
        pyproject_toml_table_header=("tool", "asynctasq"),
        extra="ignore",  # the sources hold the settings of other sections too
        frozen=True,
        hide_input_in_errors=True,  # an input may be a secret
        validate_default=False,
    )

    def __init__(self, **values: object) -> None:
        unknown = values.keys() - type(self).model_fields.keys()
        if unknown:
            raise unknown_names(unknown, type(self).model_fields)
        try:
            super().__init__(**values)  # pyright: ignore[reportArgumentType]
        except ValidationError as error:
            raise ConfigError(_one_line(error)) from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f".env cannot be read: {error}") from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keywords, then environment, then ``.env``, then ``pyproject.toml``."""
        try:
            pyproject = PyprojectTomlConfigSettingsSource(settings_cls)
        # AttributeError: [tool.asynctasq] is not a table
        except (OSError, ValueError, AttributeError) as error:
            raise ConfigError(f"pyproject.toml cannot be read: {error}") from None
        return init_settings, env_settings, dotenv_settings, pyproject

    def masked(self) -> dict[str, object]:
        """Return the name and value of every setting, with secrets replaced by ``***``."""
        return {name: _masked(getattr(self, name)) for name in type(self).model_fields}


def unknown_names(names: Iterable[str], known: Iterable[str]) -> ConfigError:
    """Return the error for unknown settings, with the closest known name of each."""
    known = sorted(known)
    parts: list[str] = []
    for name in sorted(names):
        close = did_you_mean(name, known)
        parts.append(f"unknown setting {name!r}" + (f"; did you mean {close!r}?" if close else ""))
    return ConfigError(" · ".join(parts))


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return the known name closest to `name`, if one is similar enough."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.8)
    return matches[0] if matches else None


def mask_url(url: str) -> str:
    """Return `url` with its password and query values replaced by ``***``.

    A query may hold a password or a key, so none of its values is shown.
    """
    try:
        parts = urlsplit(url)
        userinfo, at, host = parts.netloc.rpartition("@")
        user, colon, _ = userinfo.partition(":")
    except ValueError:  # not a URL: nothing of it is safe to show
        return "***"
    netloc = user + (":***" if colon else "") + at + host
    query = "&".join(pair.partition("=")[0] + "=***" for pair in parts.query.split("&") if pair)
    return urlunsplit((parts.scheme, netloc, parts.path, query, ""))


def _masked(value: object) -> object:
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        return mask_url(secret) if "://" in secret else "***"
    if isinstance(value, (list, tuple)):
        return [_masked(item) for item in cast("Iterable[object]", value)]
    return value


def _one_line(error: ValidationError) -> str:
    return " · ".join(
        f"{'.'.join(map(str, item['loc'])) or 'configuration'}: "
        f"{item['msg'].removeprefix('Value error, ')}"
        for item in error.errors(include_url=False, include_input=False)
    )
