"""Read YAML, of which JSON is a subset, into plain nodes that know their file and line.

Only data are read: mappings with text keys, lists, and the scalars of YAML 1.2 (so `yes` is text and `010` is no
number). Tags, anchors and aliases are refused, which leaves nothing to expand and nothing to construct.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from harness.core.errors import Mistake, ProtocolError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
WHOLE_FILE = "file"

Keys = tuple[str | int, ...]
Scalar = bool | int | float | str | None

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
_PLAIN_KEY = re.compile(r"[\w./+-]{1,64}")


@dataclass(frozen=True, slots=True)
class Node:
    """A value with the place where it was written.

    Attributes:
        value: a scalar, a list of nodes, or a dict of nodes.
        file: the file, as messages name it.
        line: counted from 1; of the key where the value belongs to one.
    """

    value: Scalar | list[Node] | dict[str, Node]
    file: str
    line: int

    def plain(self) -> Any:
        """Return the value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def at(self, keys: Keys) -> Node:
        """Return the deepest node on the way along `keys`."""
        node = self
        for key in keys:
            inside: Any = node.value if isinstance(node.value, dict | list) else {}
            if key not in (inside if isinstance(inside, dict) else range(len(inside))):
                break
            node = inside[key]
        return node


def dotted(keys: Keys) -> str:
    """Return keys the way people write them: `tracks[0].budget.limit`."""
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += ("." if text else "") + (key if _PLAIN_KEY.fullmatch(key) else repr(key[:40]))
    return text or WHOLE_FILE


@dataclass(slots=True)
class Findings:
    """The mistakes found so far.

    Attributes:
        tree: what they are found in; None while it is read.
        mistakes: in the order in which they were found.
    """

    tree: Node | None = None
    mistakes: list[Mistake] = field(default_factory=list)

    def add(self, keys: Keys, message: str) -> None:
        """Add a mistake at the place where `keys` stand in the tree."""
        assert self.tree is not None, "a tree is given before it is searched for mistakes"
        node = self.tree.at(keys)
        self.mistakes.append(Mistake(node.file, node.line, dotted(keys), message))

    def stop(self) -> None:
        """Raise if there is a mistake.

        Raises:
            ProtocolError: all the mistakes.
        """
        if self.mistakes:
            raise ProtocolError(list(dict.fromkeys(self.mistakes)))


def parse(content: bytes, file: str, mistakes: list[Mistake]) -> Node:
    """Return the tree of a file; mistakes that leave a tree to go on with are added to `mistakes`.

    Raises:
        ProtocolError: the file cannot be read as one YAML mapping.
    """
    reader = _Reader(file, mistakes)
    try:
        return reader.document(_text(content))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = " ".join(str(getattr(error, "problem", None) or getattr(error, "reason", "unreadable")).split())
        where = mark.line + 1 if mark is not None else 1
        reason = f"is not valid YAML ({problem}); mend this line, or the file was cut off here"
    except _Unreadable as error:
        where, reason = error.line, str(error)
    except (ValueError, OverflowError) as error:  # an escape for a character that does not exist
        where, reason = 1, f"is not valid YAML ({error}); correct the escape sequence"
    raise ProtocolError([*mistakes, Mistake(file, where, WHOLE_FILE, reason)])


class _Unreadable(Exception):
    """The rest of a file cannot be read."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


def _text(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise _Unreadable(f"has {len(content):,} bytes; a protocol has at most {MAX_BYTES:,}: is this another file?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _Unreadable(f"is not UTF-8 text (byte {error.start}); save it as UTF-8", line) from None


class _Reader:
    """Builds the tree from the events of the YAML parser."""

    def __init__(self, file: str, mistakes: list[Mistake]) -> None:
        self.file = file
        self.mistakes = mistakes
        self.events: Iterator[Any] = iter(())

    def document(self, text: str) -> Node:
        self.events = yaml.parse(text, Loader=yaml.SafeLoader)
        next(self.events)
        if isinstance(next(self.events), yaml.StreamEndEvent):
            raise _Unreadable("is empty; a protocol has at least the keys protocol, version, tracks and methods")
        root = self.node(next(self.events), ())
        if not isinstance(root.value, dict):
            raise _Unreadable("needs 'key: value' lines (protocol, version, tracks, methods)", root.line)
        next(self.events)
        after = next(self.events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise _Unreadable("holds a second document; give each protocol a file of its own", _line(after))
        return root

    def node(self, event: Any, keys: Keys) -> Node:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            raise _Unreadable(f"*{event.anchor}: aliases are not read; write the value out", line)
        if len(keys) > MAX_DEPTH:
            raise _Unreadable(f"is nested more than {MAX_DEPTH} deep", line)
        for sign, word in (("&", event.anchor), ("tag ", event.tag)):
            if word is not None:
                self._mistake(line, keys, f"{sign}{word} is not read here; write plain values only")
        if isinstance(event, yaml.ScalarEvent):
            return Node(self._scalar(event, keys), self.file, line)
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(list(self._items(keys)), self.file, line)
        return Node(self._entries(keys), self.file, line)

    def _items(self, keys: Keys) -> Iterator[Node]:
        index = 0
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            yield self.node(event, (*keys, index))
            index += 1

    def _entries(self, keys: Keys) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _Unreadable(
                    f"{dotted(keys)}: a key must be a word, not a list, a mapping or an alias", _line(event)
                )
            line = _line(event)
            key = self._printable(event.value, line, keys)
            value = self.node(next(self.events), (*keys, key))
            if key in entries:
                first = entries[key].line
                self._mistake(line, (*keys, key), f"is given twice, first on line {first}; leave one of the two")
            else:
                entries[key] = Node(value.value, self.file, line)
        return entries

    def _scalar(self, event: Any, keys: Keys) -> Scalar:
        text = self._printable(_joined(event.value), _line(event), keys)
        return text if event.style is not None else _resolve(text)

    def _printable(self, text: str, line: int, keys: Keys) -> str:
        """Return a text that can go on through all checks; what had to be taken out of it is a mistake."""
        if found := _UNPRINTABLE.search(text):
            self._mistake(line, keys, f"holds the unprintable character {found[0]!r}; take it out")
        return _UNPRINTABLE.sub("\ufffd", text)

    def _mistake(self, line: int, keys: Keys, message: str) -> None:
        self.mistakes.append(Mistake(self.file, line, dotted(keys), message))


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _joined(text: str) -> str:
    """Put the two halves together in which JSON escapes characters beyond the first plane."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return text


def _resolve(text: str) -> Scalar:
    """Return what a plain scalar means in the core schema of YAML 1.2; numbers that no machine holds stay text."""
    if text in _NOTHING:
        return None
    if text in _TRUTH:
        return _TRUTH[text]
    if _INTEGER.fullmatch(text) and len(text) < 20:  # noqa: PLR2004 - more digits never fit into 64 bits
        return int(text) if abs(int(text)) < 2**63 else text
    if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return text if _INTEGER.fullmatch(text) else float(text)
    return text
