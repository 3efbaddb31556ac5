"""Write files so that a crash leaves the old file or the new one, and say plainly when a folder cannot be written."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from harness.core.errors import FolderBusy, JournalCorrupt, OutputUnwritable
from harness.core.journal import whole_lines

_UNWRITABLE = {
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.ENOTDIR: "a file is in the way of the folder",
    errno.EEXIST: "a file is in the way of the folder",
    errno.EISDIR: "a folder is in the way of the file",
    errno.ENAMETOOLONG: "the name is too long",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into `OutputUnwritable`, with the next step."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        raise OutputUnwritable(
            f"{path}: cannot be written: {_UNWRITABLE[error.errno]}; what is recorded is safe: "
            "make room or choose another folder with --out, then run the same command again"
        ) from error


def write_atomically(path: Path, text: str, *, durable: bool = True) -> None:
    """Write a text file under a temporary name and move it into place."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with partial.open("w", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
                if durable:
                    stream.flush()
                    os.fsync(stream.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def write_json(path: Path, data: dict[str, Any], *, durable: bool = True) -> None:
    """Write plain data as readable JSON with sorted keys."""
    text = json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_atomically(path, text + "\n", durable=durable)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of ours.

    Raises:
        JournalCorrupt: the file is no JSON object.
    """
    try:
        data = json.loads(path.read_bytes())
    except ValueError as error:
        raise JournalCorrupt(f"{path}: not a JSON file ({error}); restore it from a copy") from error
    if not isinstance(data, dict):
        raise JournalCorrupt(f"{path}: not a JSON object; restore it from a copy")
    return data


def read_lines(path: Path) -> list[str]:
    """Return the complete lines of a journal; none where there is no such file.

    Raises:
        JournalCorrupt: a complete line is not UTF-8.
    """
    return whole_lines(path.read_bytes(), str(path)) if path.is_file() else []


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the lock of a folder; the operating system lets go of it when this process ends, however it ends.

    Raises:
        FolderBusy: another process holds it.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a+", encoding="utf-8")
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            holder = stream.read().strip() or "another process"
            raise FolderBusy(
                f"{path.parent}: {holder} is writing to this run folder; wait for it, stop it, or choose another "
                "folder with --out"
            ) from error
        stream.truncate(0)
        stream.write(f"process {os.getpid()}")
        stream.flush()
        yield


class FolderFiles(Mapping[str, bytes]):
    """The files of a folder by their path in it; each is read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, path: str) -> bytes:
        """Return what the file holds; KeyError where there is none, or where the path leads out of the folder."""
        inside = PurePosixPath(path)
        if inside.is_absolute() or ".." in inside.parts or not (self._folder / inside).is_file():
            raise KeyError(path)
        return (self._folder / inside).read_bytes()

    def __iter__(self) -> Iterator[str]:
        files = (path for path in self._folder.rglob("*") if path.is_file())
        return iter(sorted(path.relative_to(self._folder).as_posix() for path in files))

    def __len__(self) -> int:
        return sum(1 for _ in self)
