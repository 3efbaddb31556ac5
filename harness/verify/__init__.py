"""Check a recorded study offline, without methods, benchmarks or data: see `harness.verify.rules`."""

from harness.verify.checking import verify, verify_folder
from harness.verify.rules import RULES, Finding, Verdict

__all__ = ["RULES", "Finding", "Verdict", "verify", "verify_folder"]
