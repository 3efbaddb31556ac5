"""Write the schema out for editors and for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from harness.core.schema import SCHEMA_VERSION, ProtocolModel
from harness.protocol.wording import fields_of, model_in

_FILE_KEYS = {
    "extends": {
        "type": "string",
        "description": "a protocol's name or a path; mappings merge, everything else replaces",
    },
    "schema": {"const": SCHEMA_VERSION, "description": "version of the protocol schema"},
}


def schema_text() -> str:
    """Return the JSON Schema of protocol files, as `protocols/protocol.schema.json` holds it."""
    schema = ProtocolModel.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "nas-harness protocol"
    schema["properties"] |= _FILE_KEYS
    inherited = [key for key in schema["required"] if key not in {"protocol", "version"}]
    schema["required"] = ["protocol", "version"]
    schema["anyOf"] = [{"required": ["extends"]}, {"required": inherited}]
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def key_table() -> str:
    """Return every key of a protocol as a Markdown table, as `docs/adding_a_protocol.md` holds it."""
    lines = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    lines += (
        f"| `{key}` | {kind} | {default} | {meaning} |" for key, kind, default, meaning in _rows(ProtocolModel, "")
    )
    return "\n".join(lines) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    shapes = model.model_json_schema(by_alias=True)
    for name, field in fields_of(model).items():
        shape = shapes["properties"][name]
        inner = model_in(field.annotation)
        listed = "items" in shape or any("items" in one for one in shape.get("anyOf", ()))
        meaning = field.description or ((inner.__doc__ or "") if inner else "")
        kind = "list" if inner and listed else "mapping" if inner else _kind(shape)
        yield prefix + name, kind, _default(field), meaning.replace("|", "\\|")
        if inner:
            yield from _rows(inner, f"{prefix}{name}{'[]' if listed else ''}.")


def _kind(shape: dict[str, Any]) -> str:
    """Return in words what values a key takes."""
    if "anyOf" in shape:
        return " or ".join(_kind(one) for one in shape["anyOf"])
    if "enum" in shape:
        return ", ".join(f"`{one}`" for one in shape["enum"])
    if shape.get("type") == "array":
        return f"list of {_kind(shape['items'])}"
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
    words |= {"object": "mapping", "null": "null"}
    kind = words.get(shape.get("type", ""), "any value")
    bounds = {"minimum": "at least", "exclusiveMinimum": "above", "exclusiveMaximum": "below"}
    limits = [f"{word} {shape[key]:g}" for key, word in bounds.items() if key in shape]
    return ", ".join([kind, *limits])


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = to_jsonable_python(field.get_default(call_default_factory=True), by_alias=True)
    if isinstance(value, str) and value:
        return f"`{value}`"
    return "see below" if isinstance(value, dict) and value else f"`{json.dumps(value)}`"
