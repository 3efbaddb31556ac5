"""Build the search space that the manifest of a table declares, without any code of its user's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchmarks.spaces.listed import ChoiceSpace, GraphSpace, IdSpace, Labelled
from benchmarks.spaces.nb201 import NasBench201
from harness.core.errors import DataCorrupt, UsageError, nearest

DeclaredSpace = NasBench201 | ChoiceSpace | GraphSpace | IdSpace

Options = Annotated[list[str | int], Field(min_length=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: str


class _Named(_Section):
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)] | None = Field(
        default=None, description="the space's name, as records write it; null: its kind"
    )


class IdSection(_Named):
    """A plain list of names."""


class ChoiceSection(_Named):
    """Tuples of options."""

    length: int | None = Field(default=None, ge=1, description="how many positions, all with the same options")
    options: Options | None = Field(default=None, description="the options of every position, together with length")
    positions: Annotated[list[Options], Field(min_length=1)] | None = Field(
        default=None, description="the options of each position, instead of length and options"
    )
    separator: str = Field(default=",", description="what stands between two positions in the text; may be empty")

    @model_validator(mode="after")
    def _told_once(self) -> ChoiceSection:
        alike = self.length is not None and self.options is not None
        neither = self.length is None and self.options is None
        if not (alike if self.positions is None else neither):
            raise ValueError("give either `length` and `options`, or `positions` with the options of each position")
        for options in self.tuples():
            _check_words(options, self.separator)
        return self

    def tuples(self) -> list[list[str]]:
        """Return the options of each position as text."""
        positions = self.positions or [self.options or []] * (self.length or 0)
        return [[str(option) for option in options] for options in positions]


class GraphSection(_Named):
    """Small directed acyclic graphs with an operation at each node."""

    operations: Options = Field(description="what a node may do")
    nodes: int = Field(ge=2, le=32, description="the most nodes of a graph, input and output included")
    labelled: Labelled = Field(default="inner", description="which nodes have an operation: inner or all")

    @model_validator(mode="after")
    def _plain_operations(self) -> GraphSection:
        for separator in ",;":
            _check_words([str(operation) for operation in self.operations], separator)
        return self


def _check_words(words: Sequence[str], separator: str) -> None:
    """Refuse options that make two architectures share a text."""
    if len(set(words)) < len(words):
        raise ValueError(f"an option comes twice among {', '.join(words)}; name each once")
    wrong = [word for word in words if not word or (separator in word if separator else len(word) > 1)]
    if wrong:
        rule = f"must not contain the separator {separator!r}" if separator else "needs one character: no separator"
        raise ValueError(f"the option {wrong[0]!r} {rule}; rename it or choose another separator")


def _ids(section: IdSection, members: Sequence[str]) -> DeclaredSpace:
    return IdSpace(section.name or section.kind, members)


def _choices(section: ChoiceSection, members: Sequence[str]) -> DeclaredSpace:
    return ChoiceSpace(section.name or section.kind, members, section.tuples(), section.separator)


def _graph(section: GraphSection, members: Sequence[str]) -> DeclaredSpace:
    operations = [str(operation) for operation in section.operations]
    return GraphSpace(section.name or section.kind, members, operations, section.nodes, section.labelled)


def _nb201(_: _Section, members: Sequence[str]) -> DeclaredSpace:
    space = NasBench201()
    stranger = next((member for member in members if member not in space), None)
    if stranger is not None:
        raise DataCorrupt(f"nb201: {stranger!r} is no cell of NAS-Bench-201; write the official text of each cell")
    return space


_KINDS: dict[str, tuple[type[_Section], Callable[[Any, Sequence[str]], DeclaredSpace]]] = {
    "choices": (ChoiceSection, _choices),
    "graph": (GraphSection, _graph),
    "ids": (IdSection, _ids),
    "nb201": (_Section, _nb201),
}


def space_from(section: Mapping[str, Any], members: Sequence[str]) -> DeclaredSpace:
    """Return the space that the section `space` of a table's manifest declares.

    Keys by `kind`; every kind but 'nb201' also takes `name` (default: the kind):

        kind     keys                                       canonical text     neighbours            features
        choices  length + options, or positions; separator  a,b,c              one position changed  one-hot
        graph    operations, nodes, labelled (inner, all)   011|01|1;conv,pool one edge or operation bits, one-hot
        ids      -                                          anything           -                     -
        nb201    -                                          |none~0|+...       24                    one-hot

    Options may be text or whole numbers; `separator` is ',' unless given. Members, neighbours and random samples are
    the architectures that the table lists, in its order; only 'nb201' is the whole space whatever the table lists.

    Args:
        section: the section as plain data.
        members: the canonical texts that the table lists.

    Raises:
        UsageError: the section is malformed; all mistakes, each with its key.
        DataCorrupt: a listed text does not fit the declaration, or comes twice.
    """
    kind = section.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        hint = nearest(kind, _KINDS) if isinstance(kind, str) else ""
        raise UsageError(f"space.kind: {kind!r} is no kind of space{hint}; choose from {', '.join(sorted(_KINDS))}")
    schema, build = _KINDS[kind]
    try:
        declared = schema.model_validate(dict(section))
    except ValidationError as error:
        mistakes = "; ".join(_explained(dict(detail), schema) for detail in error.errors())
        raise UsageError(f"{mistakes}; mend the section `space` (kind {kind}) of the table's manifest") from error
    return build(declared, members)


def _explained(detail: dict[str, Any], schema: type[_Section]) -> str:
    """Return one mistake that pydantic found, in our words."""
    steps = [str(step) for step in detail["loc"] if step not in ("str", "int")]
    key = ".".join(["space", *steps])
    if detail["type"] == "extra_forbidden":
        return f"{key}: unknown key{nearest(steps[-1], schema.model_fields)}; known: {', '.join(schema.model_fields)}"
    if detail["type"] == "missing":
        return f"{key}: missing; it has no default"
    if detail["type"] == "value_error":
        return f"{key}: {detail['ctx']['error']}"
    return f"{key}: {detail['msg']}, given: {detail['input']!r}"
