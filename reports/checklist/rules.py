"""List the sixteen lines after Lindauer and Hutter as data: what to ask the record, and what to ask a person.

Best Practices for Scientific Research on Neural Architecture Search (JMLR 21(243), 2020). The wording of the questions
is after Lindauer and Hutter, not a copy of their form.
"""

from __future__ import annotations

from reports.checklist.extra_rules import EXTRA
from reports.checklist.model import Check, Question, Rule

VERSION = "lh-1.0+x1"
"""Raised whenever a rule, a check or its arguments change."""

MUST_MATCH = (
    "hardware.machine",
    "hardware.cpu.model",
    "hardware.cpu.flags_digest",
    "hardware.gpus.*",
    "software.libc",
    "software.python.implementation",
    "software.python.version",
    "software.blas.*",
    "software.environment.*",
    "software.distributions.numpy",
    "software.distributions.scipy",
    "software.distributions.torch",
    "software.distributions.torchvision",
    "software.distributions.nas-harness",
    "settings.*",
    "determinism.*",
)
"""Fields of the environment record in which all runs must agree; '*' stands for everything below."""

REQUIRED_ENVIRONMENT = (
    "schema",
    "hardware.machine",
    "hardware.cpu.model",
    "hardware.cpu.cores",
    "hardware.cpu.threads",
    "hardware.memory_bytes",
    "software.os",
    "software.kernel",
    "software.libc",
    "software.python.version",
    "software.python.implementation",
    "software.distributions",
    "settings.device",
    "settings.threads",
)
"""Fields that every environment record must hold."""

REQUIRED_TRACK = (
    "benchmark.name",
    "splits.train",
    "splits.search",
    "splits.final",
    "fidelity.search",
    "fidelity.final",
    "objective.metric",
    "objective.direction",
    "budget.unit",
    "budget.limit",
    "budget.overrun",
    "budget.repeats",
    "final.metrics",
    "final.seeds",
    "replicates",
    "selection.rule",
)
"""Fields that every track of a protocol must hold."""

_PUBLIC = "and public for as long as the paper is read?"

RELEASING = (
    Rule(
        "A1",
        "Did you release code for the training pipeline used to evaluate the final architectures?",
        (1, 3),
        "study",
        (
            Check(
                "A1.1",
                "manifest_names",
                {
                    "keys": {"training": ["trainer", "recipe"], "tabular": ["importer"]},
                    "what": "which code trains the networks, or imports the table",
                },
            ),
            Check("A1.2", "code_recorded", {"packages": ["harness", "benchmarks"]}),
            Check("A1.3", "code_committed"),
        ),
        "commit the code, run from the clean checkout, publish it, and answer A1.public",
        (
            Question(
                "A1.public", f"Is the code that trained the networks (of a table: its makers' code) public, {_PUBLIC}"
            ),
        ),
    ),
    Rule(
        "A2",
        "Did you release code for the search space?",
        (1,),
        "study",
        (
            Check(
                "A2.1",
                "manifest_names",
                {"keys": {"training": ["space"], "tabular": ["space"]}, "what": "the search space"},
            ),
            Check("A2.2", "space_covers"),
            Check("A2.3", "code_recorded", {"packages": ["benchmarks"]}),
            Check("A2.4", "code_committed"),
        ),
        "commit the code, run from the clean checkout, publish it, and answer A2.public",
        (Question("A2.public", f"Is the code of the search space public, {_PUBLIC}"),),
    ),
    Rule(
        "A3",
        "Did you release the hyperparameters used for the final evaluation pipeline, and the random seeds?",
        (1, 9),
        "study",
        (
            Check(
                "A3.1",
                "manifest_names",
                {
                    "keys": {"training": ["recipe", "final"], "tabular": ["trials"]},
                    "what": "the final recipe, or the trials behind the table's values",
                },
            ),
            Check("A3.2", "final_recorded"),
        ),
        "name the final recipe (of a table: its training seeds) in the benchmark's manifest; finish all runs",
        (
            Question(
                "A3.undocumented",
                "Do you know of a setting of the benchmark that its record leaves out?",
                decides=False,
            ),
        ),
    ),
    Rule(
        "A4",
        "Did you release code for your NAS method?",
        (2, 3),
        "method",
        (
            Check("A4.1", "code_recorded", {"packages": ["methods"]}),
            Check("A4.2", "code_committed"),
        ),
        "commit the code, run from the clean checkout, publish it, and answer A4.public",
        (Question("A4.public", f"Is the code of every method of the comparison public, {_PUBLIC}"),),
    ),
    Rule(
        "A5",
        "Did you release the hyperparameters of your NAS method, and the random seeds?",
        (2, 9, 12),
        "run",
        (Check("A5.1", "options_recorded"), Check("A5.2", "method_seeds")),
        "run the study with a harness that writes resolved options and seeds into every run's manifest",
    ),
)

COMPARING = (
    Rule(
        "B1",
        "For all NAS methods you compare, did you use exactly the same NAS benchmark: data set with split, search "
        "space, training code and its hyperparameters?",
        (4,),
        "comparison",
        (
            Check("B1.1", "one_fingerprint"),
            Check("B1.2", "common_outcomes"),
            Check("B1.3", "rows_share_tracks", severity="note"),
        ),
        "run all methods again on one benchmark; figures from papers are no substitute",
    ),
    Rule(
        "B2",
        "Did you control for confounding factors: hardware, versions of libraries, run times?",
        (11,),
        "comparison",
        (
            Check("B2.1", "environments_equal", {"fields": list(MUST_MATCH)}),
            Check("B2.2", "no_drift"),
            Check("B2.3", "interleaved", severity="note"),
        ),
        "run all methods in one environment, without --allow-drift",
        (Question("B2.neighbours", "Did other work on the machine disturb the real seconds reported?", decides=False),),
    ),
    Rule(
        "B3",
        "Did you run ablation studies?",
        (5,),
        "method",
        (Check("B3.1", "ablated"), Check("B3.2", "ablation_paired")),
        "list single-factor variants of the proposed method under `ablations`, and run them with the same seeds",
        (Question("B3.matter", "Are the ablated parts those that matter?", decides=False),),
        unless=Check("B3.0", "nothing_to_ablate"),
    ),
    Rule(
        "B4",
        "Did you use the same evaluation protocol for the methods being compared?",
        (6,),
        "comparison",
        (
            Check("B4.1", "one_protocol"),
            Check("B4.2", "no_leak"),
            Check("B4.3", "one_candidate", severity="note"),
        ),
        "delete the runs of the other protocol and resume; a method may learn open metrics only",
        (Question("B4.design", "Was knowledge of test results used to design a method?", decides=False),),
    ),
    Rule(
        "B5",
        "Did you compare performance over time?",
        (7,),
        "run",
        (Check("B5.1", "traces_complete"), Check("B5.2", "curves_shown")),
        "finish all runs, and list the report `summary` in the protocol",
        (Question("B5.axis", "Is the unit of the budget the one that readers care about?", decides=False),),
    ),
    Rule(
        "B6",
        "Did you compare to random search?",
        (8,),
        "comparison",
        (
            Check("B6.1", "random_search_runs"),
            Check("B6.2", "random_search_seeds"),
            Check("B6.3", "sampler_uniform", {"alpha": 0.001}),
            Check("B6.4", "sampling_reference", {"least": 8}, severity="note"),
        ),
        "add the method random_search to every track, with as many replicates as the others",
    ),
    Rule(
        "B7",
        "Did you perform multiple runs of your experiments, and report the seeds?",
        (9,),
        "run",
        (
            Check("B7.1", "seeds_complete"),
            Check("B7.2", "enough_seeds", {"full": 10, "least": 3}),
            Check("B7.3", "seeds_honoured"),
            Check("B7.4", "replayed", {"path": "replay.json"}, severity="note"),
        ),
        "raise `replicates` to 10 or more and finish all runs",
    ),
    Rule(
        "B8",
        "Did you use tabular or surrogate benchmarks for in-depth evaluations?",
        (10,),
        "study",
        (Check("B8.1", "benchmark_kind", {"kinds": ["tabular", "surrogate"], "least": 10}),),
        "add a track on a table with 10 or more replicates",
        (Question("B8.none", "Is there no table or surrogate that fits the question?", decides=False),),
    ),
)

REPORTING = (
    Rule(
        "C1",
        "Did you report how you tuned hyperparameters, and what time and resources this required?",
        (12,),
        "method",
        (Check("C1.1", "tuning_declared"), Check("C1.2", "tuning_elsewhere")),
        "say under `tuning` where the options of each row come from; tune on other benchmarks than the reported ones",
        (Question("C1.by-hand", "Was any method tuned by hand, outside these records?", decides=False),),
    ),
    Rule(
        "C2",
        "Did you report the time for the entire end-to-end NAS method?",
        (13,),
        "run",
        (
            Check("C2.1", "charges_add_up"),
            Check("C2.2", "phases_timed", {"phases": ["ask", "evaluate", "tell"]}),
            Check("C2.3", "final_timed"),
        ),
        "finish all runs with a harness that records charges and real seconds by phase",
        (Question("C2.people", "Did people spend time that the records do not show?", decides=False),),
    ),
    Rule(
        "C3",
        "Did you report all the details of your experimental setup?",
        (14,),
        "study",
        (
            Check(
                "C3.1", "fields_recorded", {"environment": list(REQUIRED_ENVIRONMENT), "track": list(REQUIRED_TRACK)}
            ),
            Check("C3.2", "container_known", severity="note"),
        ),
        "run the study again where the harness can read the missing fields",
        (Question("C3.sufficient", "Is there a detail that a reader needs and the record lacks?", decides=False),),
    ),
)

RULES: tuple[Rule, ...] = (*RELEASING, *COMPARING, *REPORTING, *EXTRA)
