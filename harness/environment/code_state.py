"""Identify the code that runs: the content of its packages, and the commit where there is a repository."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path

from harness.core.canonical import Json, content_hash

PACKAGES = ("harness", "methods", "benchmarks", "reports")
SUFFIXES = (".py", ".yaml")
SOURCES = ("*.py", "*.yaml", "*.yml", "*.toml")
TIMEOUT = 20.0  # seconds for one question to git
# Settings of the user that would change the text of a diff.
_DIFF = ("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--binary", "--full-index", "--no-renames",
         "--diff-algorithm=myers", "--unified=3", "--src-prefix=a/", "--dst-prefix=b/", "HEAD")  # fmt: skip


def code() -> dict[str, Json]:
    """Return the identity of the code of the packages beside this one."""
    folder = Path(__file__).resolve().parents[2]
    return {"content": content(folder), "repository": repository(folder)}


def content(folder: Path) -> dict[str, Json]:
    """Return a hash over all .py and .yaml files of each package in `folder`; the same in a checkout and a wheel.

    Protocols are left out: a protocol has a hash of its own.
    """
    return {package: content_hash(_files(folder / package)) for package in PACKAGES}


def repository(folder: Path) -> dict[str, Json] | None:
    """Return remote, commit and uncommitted changes; None where `folder` is not part of a git repository.

    A wheel that is installed inside somebody's repository is not part of it: the package must be tracked.
    """
    questions = {
        "tracked": ("ls-files", "--error-unmatch", "harness/__init__.py"),
        "commit": ("rev-parse", "--verify", "HEAD"),
        "branch": ("symbolic-ref", "--short", "HEAD"),
        "remote": ("config", "--get", "remote.origin.url"),
        "diff": _DIFF,
        "untracked": ("ls-files", "-z", "--others", "--exclude-standard", "--", *SOURCES),
    }
    answers = _git(folder, questions)
    if answers["tracked"] is None or answers["commit"] is None:
        return None
    diff = answers["diff"]
    untracked = [name for name in (answers["untracked"] or b"").decode(errors="surrogateescape").split("\0") if name]
    return {
        "url": _public(_line(answers["remote"])),
        "commit": _line(answers["commit"]),
        "branch": _line(answers["branch"]),
        "dirty": None if diff is None else bool(diff or untracked),
        "diff_sha256": None if diff is None else hashlib.sha256(diff).hexdigest(),
        "untracked": len(untracked),
        "untracked_hash": content_hash([[name, _sha256(folder / name)] for name in sorted(untracked)]),
    }


def _files(package: Path) -> list[list[str | None]]:
    found = (Path(folder, name) for folder, _, names in os.walk(package) for name in names if name.endswith(SUFFIXES))
    return sorted([path.relative_to(package).as_posix(), _sha256(path)] for path in found)


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:  # it has just gone
        return None


def _git(folder: Path, questions: dict[str, tuple[str, ...]]) -> dict[str, bytes | None]:
    """Ask git all questions at once; None where it has no answer."""
    # A hook or a script may point git to another repository; settings (safe.directory) stay.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith("GIT_CONFIG")
    }
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        asked = {
            name: subprocess.Popen(  # noqa: S603 - fixed words, no shell
                ("git", "-C", str(folder), *words),  # noqa: S607 - the user's own git
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
            for name, words in questions.items()
        }
    except OSError:  # there is no git
        return dict.fromkeys(questions)
    return {name: _answer(process) for name, process in asked.items()}


def _answer(process: subprocess.Popen[bytes]) -> bytes | None:
    with process:
        try:
            output, _ = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            return None
    return output if process.returncode == 0 else None


def _line(answer: bytes | None) -> str | None:
    return answer.decode(errors="replace").strip() or None if answer is not None else None


def _public(url: str | None) -> str | None:
    """Return the address without user, password, token and query; a path on this machine is not told."""
    if url is None:
        return None
    address = re.fullmatch(r"(?P<scheme>[a-z+]+://)?(?:[^/]*@)?(?P<rest>[^?#]*).*", url)
    assert address is not None, "every text has this form"
    scheme, rest = address["scheme"] or "", address["rest"]
    remote = scheme not in ("", "file://") or re.match(r"[^/\\.]+(\.[^/\\]+)*:", rest)
    return f"{scheme}{rest}" if remote else "local"
