"""Write and resolve the qualified names of metrics: one grammar for the whole project.

    {dataset}/{split}@{epochs}ep({train size}) {policy}      a result after a whole training
    {dataset}/{split}@{at}of{epochs}ep({train size}) {policy}      the same, `at` epochs into that training
    {dataset}/{quantity}({train size})                       a cost of one training (seconds)
    {dataset}/{quantity}                                     a cost of the network (multiply-adds, latency)

Examples: `cifar10/valid@12ep(25k) mean-of-trials`, `cifar10/test-loss@200ep(25k) mean-of-trials`,
`cifar10/valid@3of12ep(25k) trial`, `cifar10/epoch-seconds(25k)`, `cifar10/multiply-adds`.

`split` is `train`, `valid`, `test` or `valid+test` for an accuracy, with `-loss` for a loss, or any other lower-case
word. `policy` says what stands for a cell that was trained more than once: `mean-of-trials` (of all recorded trials)
or `trial` (one recorded trial, drawn with the trial's seed). Epoch 3 of a 12-epoch schedule and the end of a 3-epoch
schedule are different trainings, so they have different names. Nothing has a default: a name that leaves a part out
is refused, and the refusal lists every name that it could have meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from harness.core.errors import UsageError, nearest

Policy = Literal["mean-of-trials", "trial"]
POLICIES: tuple[Policy, ...] = ("mean-of-trials", "trial")

WORD = r"[a-z0-9][a-z0-9._+-]*"
SIZE = r"[0-9][0-9.]*[kM]?"
_NAME = re.compile(
    rf"(?:(?P<dataset>{WORD})/)?(?P<quantity>{WORD})(?:@(?:(?P<at>\d+)of)?(?P<epochs>\d+)ep)?"
    rf"(?:\((?P<train>{SIZE})\))?(?: (?P<policy>mean-of-trials|trial))?"
)


@dataclass(frozen=True, slots=True)
class MetricName:
    """The parts of a qualified name; None where the part does not apply (or, in a query, was left out).

    Attributes:
        dataset: the data set, lower case.
        quantity: what was measured: a split (its accuracy), a split with `-loss`, or a cost.
        epochs: the length of the training schedule.
        train: the number of training images, as text (`25k`).
        policy: what stands for a cell with several trials.
        at: the epoch within the schedule; None for its end.
    """

    dataset: str | None
    quantity: str
    epochs: int | None = None
    train: str | None = None
    policy: Policy | None = None
    at: int | None = None

    def __str__(self) -> str:
        within = f"{self.at}of" if self.at is not None else ""
        schedule = f"@{within}{self.epochs}ep" if self.epochs is not None else ""
        train = f"({self.train})" if self.train is not None else ""
        policy = f" {self.policy}" if self.policy is not None else ""
        dataset = f"{self.dataset}/" if self.dataset is not None else ""
        return f"{dataset}{self.quantity}{schedule}{train}{policy}"

    @property
    def training(self) -> tuple[str | None, int | None, str | None]:
        """The training that the metric belongs to; the metrics of one training share its trials."""
        return self.dataset, self.epochs, self.train

    def after(self, epoch: int) -> MetricName:
        """Return the name of the same metric `epoch` epochs into the schedule."""
        return replace(self, at=None if epoch == self.epochs else epoch)

    def means(self, other: MetricName) -> bool:
        """Tell whether `other` has every part that this, possibly incomplete, name gives."""
        parts = ("dataset", "epochs", "train", "policy", "at")
        return self.quantity == other.quantity and all(
            getattr(self, part) in (None, getattr(other, part)) for part in parts
        )


def parse(text: str) -> MetricName | None:
    """Return the parts of a name, complete or not; None where the text does not follow the grammar."""
    match = _NAME.fullmatch(text)
    if match is None:
        return None
    given = match.groupdict()
    numbers = {part: int(given[part]) if given[part] else None for part in ("at", "epochs")}
    policy: Policy | None = next((known for known in POLICIES if known == given["policy"]), None)
    return MetricName(given["dataset"], given["quantity"], numbers["epochs"], given["train"], policy, numbers["at"])


def resolve(text: str, known: Iterable[str], key: str) -> str:
    """Return `text` if it is one of the `known` names.

    Raises:
        UsageError: the name is incomplete (all names that it could mean are listed) or unknown (the nearest and
            all known names are given); the message starts with `key`, the place in the protocol.
    """
    names = sorted(known)
    if text in names:
        return text
    given = parse(text)
    matches = [name for name in names if given and (whole := parse(name)) and given.means(whole)]
    if matches:
        listed = "; ".join(matches)
        raise UsageError(f"{key}: {text!r} is not a whole name, it could mean: {listed}; write one of them in full")
    hint = nearest(text, names)
    raise UsageError(f"{key}: no metric {text!r}{hint}; this table has: {'; '.join(names) or 'none'}")
