"""Say in plain words what pydantic found wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from harness.core.errors import nearest
from harness.protocol.nodes import Keys

_NEEDS = {
    "int_type": "needs a whole number",
    "int_from_float": "needs a whole number",
    "float_type": "needs a number",
    "finite_number": "needs a finite number",
    "string_type": "needs text",
    "bool_type": "needs true or false",
    "list_type": "needs a list",
    "tuple_type": "needs a list",
    "dict_type": "needs 'key: value' lines",
    "model_type": "needs 'key: value' lines",
    "none_required": "needs null",
    "greater_than_equal": "needs at least {ge:g}",
    "greater_than": "needs more than {gt:g}",
    "less_than_equal": "needs at most {le:g}",
    "less_than": "needs less than {lt:g}",
    "string_too_long": "needs at most {max_length} characters",
    "too_short": "needs at least {min_length} of them",
}
_PATTERNS = {
    r"^[a-z0-9][a-z0-9._-]*$": "lower-case letters, digits and . _ - with a letter or digit first",
    r"^\d+\.\d+\.\d+$": "three whole numbers such as 1.0.0",
}


def explain(error: ErrorDetails) -> str:
    """Return what is wrong with a value and what is allowed in its place."""
    kind, given = error["type"], error["input"]
    context: Mapping[str, Any] = error.get("ctx", {})
    if kind in _NEEDS:
        hint = "; write it in quotes if text is meant" if kind == "string_type" and _is_word(given) else ""
        return f"{_NEEDS[kind].format(**context)}, got {show(given)}{hint}"
    if kind in {"literal_error", "enum"}:
        allowed = re.findall(r"'([^']*)'", context["expected"]) or [context["expected"]]
        return f"needs one of {', '.join(allowed)}, got {show(given)}{nearest(str(given), allowed)}"
    if kind == "string_pattern_mismatch":
        return f"needs {_PATTERNS.get(context['pattern'], context['pattern'])}, got {show(given)}"
    if kind == "value_error":
        return str(context["error"])
    return f"{error['msg'][:1].lower()}{error['msg'][1:]}, got {show(given)}"


def unknown(key: str, allowed: Iterable[str]) -> str:
    """Return that a key is unknown, the nearest and all that are known."""
    known = list(allowed)
    return f"is not a key here{nearest(key, known)}; allowed: {', '.join(known) or 'none'}"


def show(value: object) -> str:
    """Return a short text of a value for a message, always one line."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - a message stays one line


def keys_of(model: type[BaseModel], keys: Keys) -> list[str]:
    """Return the keys that the schema allows in the mapping at `keys`."""
    return list(fields_of(_model_at(model, keys)))


def needed(model: type[BaseModel], keys: Keys) -> str:
    """Return that a required key is missing, with its description where it has one."""
    description = fields_of(_model_at(model, keys[:-1]))[str(keys[-1])].description
    return f"is missing{f': {description}' if description else ''}; add it"


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a model by the names that a protocol file uses."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model inside `list[X]`, `X | None` and the like, or None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := model_in(part))), None)


def _model_at(model: type[BaseModel], keys: Keys) -> type[BaseModel]:
    for key in keys:
        if isinstance(key, str):
            inner = model_in(fields_of(model)[key].annotation)
            assert inner is not None, f"the schema has no keys below {key}"
            model = inner
    return model


def _is_word(value: object) -> bool:
    return isinstance(value, bool | int | float)
