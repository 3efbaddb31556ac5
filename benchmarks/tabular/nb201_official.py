"""Import NAS-Bench-201 from the files that its authors released, through their own `nas-bench-201` package.

Two releases hold the same records: one large `.pth` file (NAS-Bench-201 v1.1) and a folder with a small compressed
pickle for each cell (NATS-Bench, "simple"). Neither is unpickled freely: the first is loaded by torch with
`weights_only=True` and three numpy types allowed, the second by a reader with an allow-list. Both schedules, every
single trial, learning curves, losses and recorded seconds are kept.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tabular import nb201_schema as official
from benchmarks.tabular.files import sha256_of
from benchmarks.tabular.nb201_records import Grid
from benchmarks.tabular.pickles import read_pickle
from benchmarks.tabular.series import Content
from harness.core.canonical import content_hash
from harness.core.errors import DataCorrupt

_LOG = logging.getLogger(__name__)

Records = dict[str, Any]
"""The records of one cell: schedule ('12', '200') -> the state of an official `ArchResults`."""


def import_nats(table: str, folder: Path, meta: str) -> Content:
    """Return the content of a table from a NATS-Bench "simple" folder; cells without a file are left out.

    Args:
        table: the table's name.
        folder: holds the meta file and `NNNNNN.pickle.pbz2` for each cell.
        meta: the name of the meta file.

    Raises:
        DataCorrupt: a file is damaged, or is a pickle of something else.
    """
    archs = _archs(folder / meta, read_pickle(folder / meta))
    files = sorted(path for path in folder.glob("[0-9]*.pickle.pbz2"))
    cells = [int(path.name.split(".")[0]) for path in files]
    if not cells or max(cells) >= len(archs):
        raise DataCorrupt(f"{folder}: no record NNNNNN.pickle.pbz2 of one of the {len(archs)} cells; fetch it again")
    hashes = {path.name: sha256_of(path) for path in files}
    sources = {meta: sha256_of(folder / meta), f"{len(files)} records": content_hash(hashes)}
    records = ((path, read_pickle(path)) for path in files)
    return _content(table, [archs[cell] for cell in cells], records, sources, "nats 1")


def import_pth(table: str, path: Path) -> Content:
    """Return the content of a table from an official `.pth` file; loading the whole one takes minutes and 20 GB.

    Args:
        table: the table's name.
        path: `NAS-Bench-201-v1_1-096897.pth` or a file of the same schema.

    Raises:
        DataCorrupt: the file is damaged, or holds more than recorded results.
    """
    _LOG.info("loading %s with torch (the complete file takes minutes)", path)
    loaded = _load_safely(path)
    archs = _archs(path, loaded)
    try:
        cells = sorted(loaded["arch2infos"])
        records = (
            (path, {"12": infos["less"], "200": infos["full"]}) for infos in map(loaded["arch2infos"].get, cells)
        )
        kept = [archs[cell] for cell in cells]
    except (KeyError, TypeError, IndexError) as error:
        raise DataCorrupt(f"{path}: not the schema of NAS-Bench-201 ({error!r}); fetch it again") from error
    return _content(table, kept, records, {path.name: sha256_of(path)}, "pth 1")


def _load_safely(path: Path) -> Any:
    """Load a torch file that may hold plain data and numpy numbers only."""
    # By name, because nothing else in this package may depend on torch; the official package loads it anyway.
    torch = import_module("torch")
    multiarray = import_module("numpy._core.multiarray")
    old_name = (multiarray.scalar, "numpy.core.multiarray.scalar")  # what numpy 1 wrote
    allowed = [np.dtype, type(np.dtype(np.float64)), type(np.dtype(np.int64)), multiarray.scalar, old_name]
    try:
        with torch.serialization.safe_globals(allowed):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch's own advice, to load the file without the safety, is not passed on.
        asked = re.search(r"GLOBAL (\S+)", str(error))
        fault = f"it asks for {asked[1]}, which recorded results do not need" if asked else "it is damaged or truncated"
        raise DataCorrupt(f"{path}: {fault}; nothing of it was run; fetch it from its official home") from error


def _archs(path: Path, meta: Any) -> list[str]:
    archs = meta.get("meta_archs") if isinstance(meta, dict) else None
    if not isinstance(archs, list) or not all(isinstance(arch, str) for arch in archs) or len(set(archs)) != len(archs):
        raise DataCorrupt(f"{path}: no list `meta_archs` of distinct cells in it; fetch it from its official home")
    return archs


def _content(
    table: str, archs: list[str], records: Iterable[tuple[Path, Records]], sources: dict[str, str], importer: str
) -> Content:
    grid = Grid(len(archs))
    for row, (path, record) in enumerate(records):
        try:
            for epochs, results in _results(path, archs[row], record):
                grid.add(row, epochs, results)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DataCorrupt(f"{path}: not the schema of NAS-Bench-201 ({error!r}); fetch it again") from error
    return Content(
        table=table,
        space=official.SPACE,
        archs=archs,
        total=official.CELLS,
        series=grid.series(),
        sources=sources,
        importer=importer,
        notes=("learning curves are rounded to 32-bit floats; results at the end of a schedule are not",),
    )


def _results(path: Path, arch: str, record: Records) -> Iterator[tuple[int, Any]]:
    """Yield the official `ArchResults` of one cell, by the epochs of its schedule."""
    arch_results = import_module("nas_201_api.api_utils").ArchResults
    for schedule, epochs in official.SCHEDULES.items():
        results = arch_results.create_from_state_dict(record[schedule])
        if results.arch_str != arch:
            raise DataCorrupt(f"{path}: holds the cell {results.arch_str}, not {arch}; fetch it again")
        yield epochs, results
