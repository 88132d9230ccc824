"""Help texts of settings: the entry in the docstring of the model, and the default."""

import inspect
import re
from collections.abc import Iterator

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

_ATTRIBUTES = re.compile(r"^Attributes:\n((?: +.*\n?)+)", re.MULTILINE)
_FIRST_WORD = re.compile(r"^[a-z]+(?= )")  # and not the start of a URL
_ENTRY = re.compile(r"^    (?=\S)", re.MULTILINE)


def setting_help(model: type[BaseModel]) -> dict[str, str]:
    """Return the help text of each setting."""
    texts = setting_texts(model)
    return {
        name: f"{_as_help(texts.get(name, ''))}{_default(field)}".strip()
        for name, field in model.model_fields.items()
    }


def setting_texts(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstring's entry for each setting, with its markup."""
    return dict(_documented(model))


def default_text(field: FieldInfo) -> str:
    """Return the default as written in ``.env``; empty if there is none."""
    value: object = field.get_default()
    if isinstance(value, SecretStr):  # a default is not secret
        value = value.get_secret_value()
    if value is None or value == () or field.is_required() or field.default_factory is not None:
        return ""
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return shown.lower() if isinstance(value, bool) else shown


def _documented(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    section = _ATTRIBUTES.search(inspect.getdoc(model) or "")
    if section is None:  # undocumented, or run without docstrings
        return
    for entry in _ENTRY.split(section[1]):
        names, _, text = " ".join(entry.split()).partition(": ")
        for name in re.findall(r"\w+", names):
            yield name, text


def _as_help(text: str) -> str:
    return _FIRST_WORD.sub(lambda match: match[0].capitalize(), text.replace("`", ""))


def _default(field: FieldInfo) -> str:
    default: object = field.get_default()
    shown = isinstance(default, (str, int, float))  # not a secret, and not computed
    return f" [default: {default}]" if shown else ""
