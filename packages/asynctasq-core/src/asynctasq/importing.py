"""Imports the modules that messages name, and no others than the application's.

A message names its task as ``module:qualname``. If the task is not registered, a worker imports
the module, provided that its package is on the allow-list or its top-level package is in the
working directory. Nothing is loaded by file path.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from asynctasq.errors import TaskNotFound


def importable_module(module: str) -> str:
    """Return the name under which others can import `module`, also when it runs as a script."""
    if module not in ("__main__", "__mp_main__"):
        return module
    main = sys.modules[module]
    spec = getattr(main, "__spec__", None)
    if spec is not None:  # python -m package.module
        return spec.name.removesuffix(".__main__")
    path = getattr(main, "__file__", None)
    return Path(path).stem if path else module


class Importer:
    """Imports modules of an allow-list, and of the packages in one directory.

    Args:
        root: the application's directory; None for the working directory at each import.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root
        self._allowed: set[str] = set()

    def allow(self, names: Iterable[str]) -> None:
        """Add packages, with all modules inside them, to the allow-list."""
        self._allowed.update(names)

    def load(self, module: str) -> ModuleType:
        """Import `module`, or return it if it is allowed and already imported.

        Raises:
            TaskNotFound: it is not allowed, does not exist, or fails to import.
        """
        if not self._is_allowed(module):
            raise TaskNotFound(f"module {module!r} is not on the import allow-list")
        if module in sys.modules:
            return sys.modules[module]
        try:
            return importlib.import_module(module)
        except (Exception, SystemExit) as error:  # the module is the application's code
            raise TaskNotFound(
                f"importing {module!r} failed: {type(error).__name__}: {error}"
            ) from error

    def _is_allowed(self, module: str) -> bool:
        parts = module.split(".")
        if not all(part.isidentifier() for part in parts) or "__main__" in parts:
            return False
        packages = {".".join(parts[: count + 1]) for count in range(len(parts))}
        return bool(packages & self._allowed) or self._is_local(parts[0])

    def _is_local(self, package: str) -> bool:
        """Whether `package` is in the root, and not shadowed by one from elsewhere."""
        root = (self._root or Path.cwd()).resolve()
        if not (root / package).is_dir() and not (root / f"{package}.py").is_file():
            return False
        try:
            spec = importlib.util.find_spec(package)
        except (ImportError, ValueError):
            return False
        if spec is None:
            return False
        places = [spec.origin] if spec.has_location else spec.submodule_search_locations or []
        home, module = (root / package).resolve(), (root / f"{package}.py").resolve()
        found = [Path(place).resolve() for place in places if place]
        # its own directory, not any below the root: a virtual environment may be there. All of its
        # places, because a namespace package may continue elsewhere
        return bool(found) and all(
            place in (home, module) or place.parent == home for place in found
        )


#: The allow-list of this process.
importer = Importer()
