"""Find a protocol by name or path, validate it in one pass, and resolve it in full."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.core.canonical import canonical_json
from harness.core.errors import Mistake, ProtocolError, UsageError, nearest
from harness.core.schema import SCHEMA_VERSION, ProtocolModel
from harness.protocol.checks import check_grounds, cross_check
from harness.protocol.nodes import Findings, Node, parse
from harness.protocol.options import Catalogue, fill_options
from harness.protocol.wording import explain, keys_of, needed, show, unknown

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_OUTSIDE = ("extends", "schema")  # keys of the file that are no setting of the protocol


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid protocol.

    Attributes:
        model: with the options of methods and benchmarks resolved in full.
        resolved: the same as plain data; written to a file, it loads to the same hash.
        hash: content hash of `resolved`.
        files: what was read: the file, and the one that it extends.
    """

    model: ProtocolModel
    resolved: dict[str, Any]
    hash: str
    files: tuple[str, ...]


def load(source: str | Path, catalogue: Catalogue) -> Loaded:
    """Read, validate and resolve a protocol: a bare name means one that comes with the harness, a path a file.

    Raises:
        UsageError: there is no such protocol or file.
        ProtocolError: all the mistakes in the file, and in the one that it extends.
    """
    found = _find(str(source), None)
    findings = Findings()
    tree, read = _tree(found, findings)
    findings.tree = tree
    _check_schema_version(findings)
    data = {key: node.plain() for key, node in _entries(tree).items() if key not in _OUTSIDE}
    cross_check(data, catalogue.names("reports"), findings.add)
    filled = fill_options(data, catalogue, findings.add)
    check_grounds(filled, findings.add)
    _check_shape(data, findings)
    findings.stop()
    model = _model(filled)
    return Loaded(model, model.resolved(), model.hash(), read)


def packaged() -> list[str]:
    """Return the names of the protocols that come with the harness."""
    return sorted(entry.name.removesuffix(".yaml") for entry in files("protocols").iterdir() if _is_protocol(entry))


def title(name: str) -> str:
    """Return the title of a protocol that comes with the harness."""
    found = _find(name, None)
    value = parse(found.content, found.label, []).at(("title",)).value
    return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class _Found:
    label: str
    content: bytes
    folder: Path | None


def _is_protocol(entry: Traversable) -> bool:
    return entry.name.endswith(".yaml") and entry.is_file()


def _find(source: str, beside: Path | None) -> _Found:
    """Read a protocol by name or path; a relative path starts at `beside`."""
    if _BARE.fullmatch(source):
        if source not in packaged():
            known = packaged()
            raise UsageError(
                f"no protocol {source!r}{nearest(source, known)}; known: {', '.join(known)}; "
                "for a file of your own give its path, for instance ./mine.yaml"
            )
        return _Found(f"protocols/{source}.yaml", (files("protocols") / f"{source}.yaml").read_bytes(), None)
    path = (beside or Path()) / source
    try:
        return _Found(str(path), path.read_bytes(), path.parent)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        near = nearest(Path(source).stem, packaged())
        raise UsageError(
            f"{source!r}: {reason.lower()}{near}; give the path of a file, or one of: {', '.join(packaged())}"
        ) from None


def _tree(found: _Found, findings: Findings) -> tuple[Node, tuple[str, ...]]:
    """Return the tree of a file merged into the one that it extends, and the names of the files."""
    child = parse(found.content, found.label, findings.mistakes)
    extends = _entries(child).get("extends")
    if extends is None:
        return child, (found.label,)
    if not isinstance(extends.value, str):
        raise ProtocolError(
            [*findings.mistakes, _at(extends, "extends", f"needs a name or path, got {_show(extends)}")]
        )
    try:
        origin = _find(extends.value, found.folder)
    except UsageError as error:
        raise ProtocolError([*findings.mistakes, _at(extends, "extends", str(error))]) from None
    parent = parse(origin.content, origin.label, findings.mistakes)
    if again := _entries(parent).get("extends"):
        reason = f"{found.label} extends this file, and only one level is followed; write the settings out"
        raise ProtocolError([*findings.mistakes, _at(again, "extends", reason)])
    _check_identity(child, parent, findings.mistakes)
    return _merge(parent, child), (found.label, origin.label)


def _check_identity(child: Node, parent: Node, mistakes: list[Mistake]) -> None:
    """A protocol that extends another is another protocol: its name and version are its own."""
    reason = "is missing: a protocol that extends another has its own; add it"
    mistakes += [_at(child, key, reason) for key in ("protocol", "version") if key not in _entries(child)]
    mine, theirs = _entries(child).get("protocol"), _entries(parent).get("protocol")
    if mine and theirs and mine.value == theirs.value:
        mistakes.append(
            _at(mine, "protocol", f"is the name of the protocol that this extends ({parent.file}); choose another")
        )


def _merge(base: Node, top: Node) -> Node:
    """Mappings merge key by key; everything else, lists included, is replaced."""
    if not (isinstance(base.value, dict) and isinstance(top.value, dict)):
        return top
    merged = dict(base.value)
    for key, node in top.value.items():
        merged[key] = _merge(merged[key], node) if key in merged else node
    return Node(merged, top.file, top.line)


def _entries(tree: Node) -> dict[str, Node]:
    assert isinstance(tree.value, dict), "a parsed file is a mapping"
    return tree.value


def _at(node: Node, key: str, message: str) -> Mistake:
    return Mistake(node.file, node.line, key, message)


def _show(node: Node) -> str:
    return show(node.plain())


def _check_schema_version(findings: Findings) -> None:
    """Stop at a file for another schema: its other keys may be right there."""
    assert findings.tree is not None
    node = _entries(findings.tree).get("schema")
    if node is None:
        return
    given = node.value if type(node.value) is int else 0
    if given == SCHEMA_VERSION:
        return
    step = "upgrade nas-harness" if given > SCHEMA_VERSION else f"write {SCHEMA_VERSION}, or leave the key out"
    findings.add(("schema",), f"this version reads schema {SCHEMA_VERSION}, the file is for {_show(node)}; {step}")
    findings.stop()


def _model(data: dict[str, Any]) -> ProtocolModel:
    return ProtocolModel.model_validate_json(canonical_json(data), by_alias=True, by_name=False)


def _check_shape(data: dict[str, Any], findings: Findings) -> None:
    """Hold the data against the schema, and put what pydantic finds into plain words."""
    try:
        _model(data)
    except ValidationError as error:
        for one in error.errors(include_url=False):
            keys = one["loc"]
            if one["type"] == "extra_forbidden":
                allowed = keys_of(ProtocolModel, keys[:-1])
                findings.add(keys, unknown(str(keys[-1]), allowed if len(keys) > 1 else [*allowed, *_OUTSIDE]))
            elif one["type"] == "missing":
                findings.add(keys, needed(ProtocolModel, keys))
            elif (
                one["type"] != "value_error" or not findings.mistakes
            ):  # the cross checks say these at a narrower place
                findings.add(keys, explain(one))
