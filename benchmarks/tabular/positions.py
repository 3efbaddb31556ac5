"""Read a YAML file with the line of every key, so that a mistake can say where it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.core.errors import Mistake, ProtocolError

Location = Sequence[str | int]


@dataclass(frozen=True, slots=True)
class Positioned:
    """The plain data of a YAML file, with where its keys stand."""

    path: Path
    data: Any
    root: yaml.Node

    def mistake(self, location: Location, message: str) -> Mistake:
        """Return a mistake at a key, at its nearest parent where the key itself is absent."""
        return Mistake(str(self.path), self._line(location), key_of(location), message)

    def _line(self, location: Location) -> int:
        node, line = self.root, self.root.start_mark.line
        for step in location:
            found = _step(node, step)
            if found is None:
                break
            node, line = found
        return int(line) + 1


def key_of(location: Location) -> str:
    """Return a location as people write it: `metrics[0].column`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return text.lstrip(".") or "(the whole file)"


def _step(node: yaml.Node, step: str | int) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((value, key.start_mark.line) for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step].start_mark.line
    return None


def read_yaml(path: Path) -> Positioned:
    """Read a YAML file.

    Raises:
        ProtocolError: it is not YAML in UTF-8, repeats a key, or is no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ProtocolError([Mistake(str(path), line, "(syntax)", f"not YAML: {error.problem}")]) from error
    except (UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        raise ProtocolError([Mistake(str(path), 1, "(syntax)", f"not YAML in UTF-8: {error}")]) from error
    if not isinstance(root, yaml.MappingNode):
        raise ProtocolError([Mistake(str(path), 1, "(the whole file)", "must be a mapping of keys to values")])
    repeated = [Mistake(str(path), line, key, "given twice; keep one") for key, line in _repeated(root)]
    if repeated:
        raise ProtocolError(repeated)
    return Positioned(path, data, root)


def _repeated(node: yaml.Node) -> Iterator[tuple[str, int]]:
    """Yield the keys that a mapping holds more than once, with their lines."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield str(key.value), key.start_mark.line + 1
            seen.add(key.value)
            yield from _repeated(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated(item)
