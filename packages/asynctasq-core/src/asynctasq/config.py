"""Configuration: one flat set of names, from keywords, environment, ``.env`` or pyproject.toml."""

import logging
import os
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, PrivateAttr, SecretStr, field_validator
from pydantic_settings import NoDecode

from asynctasq.drivers import registry
from asynctasq.drivers.settings import DriverSettings
from asynctasq.errors import ConfigError, DriverIncompatible
from asynctasq.settings import ENV_PREFIX, Settings, did_you_mean, mask_url, unknown_names

logger = logging.getLogger("asynctasq.config")

#: How the delay between attempts grows; `asynctasq.tasks.options.TaskOptions` has the formulas.
RetryStrategy = Literal["fixed", "exponential"]
Words = Annotated[tuple[str, ...], NoDecode]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode]


def _default_driver(data: dict[str, Any]) -> str:
    """Return the driver for the URL's scheme; else redis if it is installed, else sqlite."""
    url: SecretStr | None = data.get("url")
    if url is not None:
        return registry.driver_for_scheme(_scheme(url))
    return "redis" if "redis" in registry.driver_names() else "sqlite"


class Config(Settings):
    """The settings of a producer or a worker, with those of its driver.

    ``Config(driver="redis", redis_url="redis://localhost")``: the names of the driver's settings
    are flat. Settings that are not given come from the environment (``ASYNCTASQ_…``), ``.env`` or
    ``[tool.asynctasq]`` in ``pyproject.toml`` of the working directory.

    Attributes:
        url: where the broker is; its scheme picks the driver.
        driver: the driver's name; without one, and without a URL, redis where its package is
            installed, else the embedded sqlite.
        default_queue, default_max_attempts, default_retry_strategy, default_retry_delay (s),
            default_timeout (s): for tasks without their own.
        process_pool_size: processes for tasks with ``process=True``; the number of cores if None.
        process_pool_max_tasks_per_child: number of tasks after which a process is replaced.
        quarantine_processes: processes that read and run suspects; the number of cores, at
            least two, if None.
        imports: modules that a worker imports at its start, and packages it may import from.
        signing_keys: keys of the messages' signatures; the first signs, every key verifies.

    Raises:
        ConfigError: an unknown name (with the closest known name) or an invalid value.
        DriverNotFound: no installed package provides the driver; with the package to install.
    """

    url: SecretStr | None = None
    driver: str = Field(default_factory=_default_driver)
    default_queue: str = Field("default", min_length=1)
    default_max_attempts: int = Field(3, ge=1)
    default_retry_strategy: RetryStrategy = "exponential"
    default_retry_delay: float = Field(60.0, ge=0)
    default_timeout: float | None = Field(None, gt=0)
    process_pool_size: int | None = Field(None, ge=1)
    process_pool_max_tasks_per_child: int | None = Field(None, ge=1)
    quarantine_processes: int | None = Field(None, ge=1)
    imports: Words = ()
    signing_keys: Secrets = ()

    _section: DriverSettings = PrivateAttr()

    def __init__(self, **values: object) -> None:
        own = {name: value for name, value in values.items() if name in type(self).model_fields}
        super().__init__(**own)
        self._let_one_win(own)
        self._section = self._read_section({k: v for k, v in values.items() if k not in own})
        _check_sources(self)

    @property
    def driver_settings(self) -> DriverSettings:
        """The settings of the driver."""
        return self._section

    @classmethod
    def from_mapping(cls, values: dict[str, object]) -> Self:
        """Return a Config from a dict with the same names as the keywords."""
        return cls(**values)

    def masked(self) -> dict[str, object]:
        """Return the name and value of every setting, the driver's included, without secrets."""
        return super().masked() | self._section.masked()

    @field_validator("imports", "signing_keys", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(word.strip() for word in value.split(",") if word.strip())
        return value

    def _let_one_win(self, keywords: Collection[str]) -> None:
        """If URL and driver do not match, keep the one whose source has precedence."""
        if self.url is None or self._url_fits():
            return
        url, driver = (_rank(name, keywords) for name in ("url", "driver"))
        if driver < url:
            object.__setattr__(self, "url", None)
        elif url < driver:
            object.__setattr__(self, "driver", registry.driver_for_scheme(_scheme(self.url)))

    def _url_fits(self) -> bool:
        if self.url is None:
            return True
        return registry.driver_for_scheme(_scheme(self.url)) == self.driver

    def _read_section(self, values: dict[str, object]) -> DriverSettings:
        settings_type = registry.settings_class(self.driver)
        known = settings_type.model_fields
        _check_names(self, values.keys() - known.keys())
        given = {name: value for name, value in values.items() if name in known}
        if self.url is not None:
            if not self._url_fits():
                url = mask_url(self.url.get_secret_value())
                raise ConfigError(f"the {self.driver} driver does not read {url}")
            if settings_type.url_field:
                given.setdefault(settings_type.url_field, self.url.get_secret_value())
        return settings_type(**given)


def _scheme(url: SecretStr) -> str:
    try:
        return urlsplit(url.get_secret_value()).scheme
    except ValueError:  # its text may quote the password
        raise ConfigError(
            "url: malformed; percent-encode special characters, and close each bracket"
        ) from None


def _check_names(config: Config, names: set[str]) -> None:
    """Raise for names that no driver has; those of another installed driver are ignored."""
    unknown = names - _all_names()
    for name in unknown:
        hint = registry.install_hint(name)
        if hint:
            raise ConfigError(f"setting {name!r} belongs to a driver that is not installed: {hint}")
    if unknown:
        raise unknown_names(unknown, _all_names())


def _all_names() -> set[str]:
    names = set(Config.model_fields)
    for driver in registry.driver_names():
        try:
            names |= registry.settings_class(driver).model_fields.keys()
        except DriverIncompatible:  # raised again where the driver is used
            continue
    return names


def _check_sources(config: Config) -> None:
    """Warn of names in the environment that look mistyped, and reject them in pyproject.toml.

    Only a warning, because other programs may set variables with our prefix: Kubernetes does for
    a service called ``asynctasq-redis``, and our tests do to find brokers.
    """
    outside = _variables(os.environ) | _variables(dotenv_values(".env"))
    table = _pyproject_table()
    if outside or table:
        known = _all_names()
        _check_names(config, table - known)
        for name in sorted(outside - known):
            close = did_you_mean(name, known)
            if close and not name.startswith("test_"):
                variable, meant = (ENV_PREFIX + word.upper() for word in (name, close))
                logger.warning("%s is not a setting; did you mean %s?", variable, meant)


def _rank(name: str, keywords: Collection[str]) -> int:
    """Return the rank of a setting's source; a lower number has precedence."""
    sources = (
        keywords,
        _variables(os.environ),
        _variables(dotenv_values(".env")),
        _pyproject_table(),
    )
    return next((rank for rank, names in enumerate(sources) if name in names), len(sources))


def _variables(values: Mapping[str, str | None]) -> set[str]:
    return {
        name.lower().removeprefix(ENV_PREFIX.lower())
        for name, value in values.items()
        if value and name.upper().startswith(ENV_PREFIX)
    }


def _pyproject_table() -> set[str]:
    try:
        document = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # there is none, or it is malformed, which `Settings` reports
        return set()
    tool = cast("dict[str, dict[str, object]]", document.get("tool", {}))
    return set(tool.get("asynctasq", {}))
