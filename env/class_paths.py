"""Classes that configurations and command lines name: those of a package, or any at an import path."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any


def classes_in(package: ModuleType) -> Iterator[type]:
    """Yield the classes that the files of a package define, in their order; every file is imported."""
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(info.name)
        for member in vars(module).values():
            if inspect.isclass(member) and member.__module__ == module.__name__:
                yield member


def class_at(path: str) -> Any:
    """Return what stands at `module:Class`.

    Raises:
        ImportError: there is no such module, or it lacks what it needs.
        AttributeError: the module has nothing of that name.
        TypeError, ValueError: that is no name of a module.
    """
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)
