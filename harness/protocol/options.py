"""Validate the options of methods and benchmarks against their `Config`, and fill in every default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from itertools import product
from math import prod
from typing import Any, Protocol, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from harness.core.canonical import canonical_json
from harness.core.errors import HarnessError, UsageError, nearest
from harness.core.later import written
from harness.protocol.checks import Add, mappings, row_key, text_at
from harness.protocol.nodes import Keys, dotted
from harness.protocol.wording import explain, unknown

_STRICT = ConfigDict(strict=True, allow_inf_nan=False)

MOST_SETTINGS = 1000
"""Settings that a tuning may try: each is a whole search, or several."""

Wrong = list[tuple[Keys, str]]


class Catalogue(Protocol):
    """What a protocol may name: the methods, benchmarks and reports, and the options of each."""

    def names(self, kind: str) -> Sequence[str]:
        """Return the registered names of 'methods', 'benchmarks' or 'reports'."""
        ...

    def config(self, kind: str, name: str) -> type[Any]:
        """Return the `Config` of a registered method or benchmark, a frozen dataclass."""
        ...


def build(config: type[Any], options: Mapping[str, Any]) -> Any:
    """Return a `Config` with these options, its other fields at their defaults.

    Lists become tuples where the field says so: this is how to come back from a resolved protocol or a record.

    Raises:
        UsageError: an option is unknown, missing or of the wrong type, or `Config` refuses the values.
    """
    instance, wrong = _attempt(config, options)
    if wrong:
        listed = "; ".join(f"{dotted(('options', *keys))} {message}" for keys, message in wrong)
        raise UsageError(f"{config.__qualname__}: {listed}")
    return instance


def fill_options(data: Any, catalogue: Catalogue, add: Add) -> Any:
    """Return a copy of a protocol with the options of every method and benchmark resolved in full.

    Mistakes are told to `add`; where there are any, the copy is of no use.
    """
    data = deepcopy(data)
    rows: dict[str, _Row] = {}
    for keys, row in mappings(data, "methods"):
        if config := _fill(catalogue, "methods", keys, row, add):
            rows.setdefault(row_key(row) or "", (config, row["options"]))
    for section in ("tracks", "tuning"):
        for keys, entry in mappings(data, section):
            if isinstance(entry.get("benchmark"), dict):
                _fill(catalogue, "benchmarks", (*keys, "benchmark"), entry["benchmark"], add)
    for section, where in (("tuning", "space"), ("ablations", "vary")):
        for keys, entry in mappings(data, section):
            if row_options := rows.get(text_at(entry, "method") or ""):
                _vary(row_options, (*keys, where), entry.get(where), add)
                _combine(row_options, (*keys, where), entry.get("space"), add)
    return data


_Row = tuple[type[Any], Mapping[str, Any]]


def _fill(catalogue: Catalogue, kind: str, keys: Keys, entry: dict[str, Any], add: Add) -> type[Any] | None:
    """Resolve the options of one entry in place; return its `Config` if the name is known.

    Where the options are wrong they become those that are right, so that ablations can be checked all the same.
    """
    name = text_at(entry, "name")
    if name is None:
        return None
    known = catalogue.names(kind)
    if name not in known:
        add((*keys, "name"), f"no {kind.removesuffix('s')} {name!r}{nearest(name, known)}; known: {', '.join(known)}")
        return None
    config = catalogue.config(kind, name)
    options = entry.get("options", {})
    if not isinstance(options, dict):
        options = {}  # the schema says so
    instance, wrong = _attempt(config, options)
    for place, message in wrong:
        add((*keys, "options", *place), message)
    bad = {place[0] for place, _ in wrong if place}
    sound = {option: value for option, value in options.items() if option not in bad}
    entry["options"] = sound if instance is None else to_jsonable_python(written(instance))
    return config


def _vary(row: _Row, keys: Keys, varied: Any, add: Add) -> None:
    """Check and normalise in place the values that an ablation or a tuning space gives for each option."""
    config, options = row
    base = set(_attempt(config, options)[1])
    for option, values in varied.items() if isinstance(varied, dict) else ():
        if not isinstance(values, list):
            continue
        if option not in _known(config):
            add((*keys, option), unknown(option, _known(config)))
            continue
        for index, value in enumerate(values):
            instance, wrong = _attempt(config, {**options, option: value})
            for place, message in wrong:
                if (place, message) not in base:  # else it is the row's own mistake
                    add((*keys, option, index, *place[1:]), message)
            if instance is not None:
                values[index] = plain_options(instance)[option]
        if option in options and values == [options[option]]:
            add((*keys, option), f"holds nothing but the row's own value, {values[0]!r}; add another")
        _refuse_repeats((*keys, option), values, add)


def _combine(row: _Row, keys: Keys, space: Any, add: Add) -> None:
    """Check every combination of sound values, for what `Config` refuses only of several options together."""
    config, options = row
    if not isinstance(space, dict) or not all(isinstance(values, list) and values for values in space.values()):
        return
    count = prod(len(values) for values in space.values())
    if count > MOST_SETTINGS:
        add(keys, f"has {count:,} settings, and {MOST_SETTINGS:,} may be tried; name fewer values")
        return
    alone = any(_attempt(config, {**options, option: value})[1] for option, values in space.items() for value in values)
    if alone:
        return  # said at that value
    for values in product(*space.values()):
        setting = dict(zip(space, values, strict=True))
        for _, message in _attempt(config, {**options, **setting})[1]:
            add(keys, f"the setting {canonical_json(setting)} is refused: {message}")


def _refuse_repeats(keys: Keys, values: list[Any], add: Add) -> None:
    if not values:
        add(keys, "needs at least 1 value")
    seen: set[str] = set()
    for index, value in enumerate(values):
        if (text := canonical_json(value)) in seen:
            add((*keys, index), f"repeats the value {text}; give each once")
        seen.add(text)


def plain_options(instance: Any) -> dict[str, Any]:
    """Return the fields of a `Config` as plain data."""
    plain: dict[str, Any] = to_jsonable_python(asdict(instance))
    return plain


def _attempt(config: type[Any], options: Mapping[str, Any]) -> tuple[Any, Wrong]:
    """Return the `Config` with these options, or None and all that is wrong with them."""
    known = _known(config)
    hints = get_type_hints(config, include_extras=True)
    wrong: Wrong = [((name,), unknown(name, known)) for name in options if name not in known]
    values: dict[str, Any] = {}
    for name, field in known.items():
        value = options[name] if name in options else _default(field)
        if value is MISSING:
            wrong.append(((name,), "is missing; this option has no default"))
            continue
        values[name], found = _convert(hints[name], value)
        wrong += [((name, *place), message) for place, message in found]
    if wrong:
        return None, wrong
    try:
        return config(**values), []
    except (HarnessError, ValueError) as error:
        return None, [((), str(error))]


def _known(config: type[Any]) -> dict[str, Field[Any]]:
    assert is_dataclass(config), f"{config.__qualname__} is no dataclass"
    return {field.name: field for field in fields(config) if field.init}


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _convert(hint: Any, value: Any) -> tuple[Any, Wrong]:
    """Return `value` as the type `hint` by the strict rules of JSON (lists make tuples, integers make floats)."""
    try:
        return TypeAdapter(hint, config=_STRICT).validate_json(canonical_json(to_jsonable_python(value))), []
    except ValidationError as error:
        found: dict[Keys, list[str]] = {}
        for one in error.errors(include_url=False):
            # In a union each member complains under its own name; the place is the same.
            place = tuple(part for part in one["loc"] if isinstance(part, int))
            found.setdefault(place, []).append(explain(one))
        return None, [(place, ", or ".join(messages)) for place, messages in found.items()]
