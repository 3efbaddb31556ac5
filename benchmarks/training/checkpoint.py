"""Keep the state of a training on disk: written atomically, checked before it is read, never unpickled freely."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from harness.core.errors import OutputUnwritable

State = dict[str, Any]
"""Tensors, numbers, texts, and lists and dicts of them."""

INTERVAL_SECONDS = 20.0
"""The most work that a kill may lose; an epoch that ends sooner than this after the last save is not saved."""

MOST_KEPT = 256
"""How many checkpoints stay: those of partial trainings wait to be continued, and the oldest make room."""

_DIGEST = hashlib.sha256().digest_size


class Shelf:
    """A folder of checkpoints, one file for each key; all of it can be deleted at any time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last = time.monotonic()

    def load(self, key: str) -> State | None:
        """Return the state kept under a key; None where there is none or the file is torn or foreign."""
        try:
            content = self._path(key).read_bytes()
        except OSError:
            return None
        payload = content[_DIGEST:]
        if hashlib.sha256(payload).digest() != content[:_DIGEST]:
            return None
        try:
            state: State = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        except (RuntimeError, pickle.UnpicklingError):
            return None
        return state

    def offer(self, key: str, state: Callable[[], State]) -> None:
        """Save a state if the last save, or the opening of this shelf, is long enough ago."""
        if time.monotonic() - self._last >= INTERVAL_SECONDS:
            self.save(key, state())

    def save(self, key: str, state: State) -> None:
        """Put a state in the place of the one kept under this key, whole or not at all.

        Raises:
            OutputUnwritable: the folder is read-only or the disk is full.
        """
        buffer = io.BytesIO()
        torch.save(state, buffer)
        payload = buffer.getvalue()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _write(self._path(key), hashlib.sha256(payload).digest() + payload)
            self._make_room()
        except OSError as error:
            raise OutputUnwritable(
                f"{self._folder}: no checkpoint can be written ({error}); free space there or name another folder "
                "with --cache-dir"
            ) from error
        self._last = time.monotonic()

    def drop(self, key: str) -> None:
        """Delete what is kept under a key, if anything."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.checkpoint"

    def _make_room(self) -> None:
        files = list(self._folder.glob("*.checkpoint"))
        if len(files) > MOST_KEPT:
            for path in sorted(files, key=_age)[:-MOST_KEPT]:
                path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process made room at the same moment
        return 0.0


def _write(path: Path, content: bytes) -> None:
    partial = path.with_suffix(f".{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
