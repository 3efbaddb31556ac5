"""Look a name up in a literal dict of `"module:attribute"` strings and load it on first use."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from harness.core.errors import HarnessError, UsageError, nearest


def registry(kind: str) -> Mapping[str, str]:
    """Return the registry of a kind: 'methods', 'benchmarks' or 'reports' (the upper-case dict of that package)."""
    names: Mapping[str, str] = getattr(import_module(kind), kind.upper())
    return names


def load(kind: str, name: str) -> Any:
    """Return what `name` stands for in the registry of `kind`.

    Raises:
        UsageError: the name is not registered; the message gives the nearest and all known names.
        HarnessError: the entry points to a module or attribute that does not exist.
    """
    names = registry(kind)
    if name not in names:
        known = ", ".join(sorted(names))
        raise UsageError(f"{kind}: no {name!r}{nearest(name, names)}; known: {known}")
    module, _, attribute = names[name].partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        raise HarnessError(
            f"{kind}: the entry {name!r} = {names[name]!r} cannot be loaded ({error}); "
            f"mend that line of {kind}/__init__.py"
        ) from error
