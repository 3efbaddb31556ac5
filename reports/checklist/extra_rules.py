"""List what was added to the sixteen lines: what the paper asks for in its prose, and what later practice found."""

from __future__ import annotations

from reports.checklist.model import Check, Question, Rule

EXTRA = (
    Rule(
        "X1",
        "Is the test split sealed from every search?",
        (4, 6),
        "run",
        (Check("X1.1", "no_leak"), Check("X1.2", "splits_apart")),
        "give the search a split of its own, and make every test metric a sealed one",
    ),
    Rule(
        "X2",
        "Is random sampling reported beside random search (Definition 9)?",
        (8,),
        "comparison",
        (Check("X2.1", "sampling_reference", {"least": 8}),),
        "use a benchmark that knows the mean of its space, or add the method random_sampling with 8 or more replicates",
    ),
    Rule(
        "X3",
        "Is the accounting variant declared (Definition 7 or 8), and are both accounted for?",
        (7, 13),
        "study",
        (Check("X3.1", "accounting_declared"), Check("X3.2", "one_candidate"), Check("X3.3", "both_accounts")),
        "evaluate one architecture finally, and budget in epochs or evaluations, where the cost of the last training "
        "follows from the protocol",
    ),
    Rule(
        "X4",
        "Were protocol, seeds and analysis plan fixed, hashed and dated before the first run?",
        (9, 14),
        "study",
        (Check("X4.1", "protocol_registered"), Check("X4.2", "start_known")),
        "begin the study anew, so that its folder holds the hash of the protocol and the time of the first start",
        (
            Question(
                "X4.deposited", "Was the hash of the protocol deposited elsewhere before the first run?", decides=False
            ),
        ),
    ),
    Rule(
        "X5",
        "Is every run that was planned accounted for, failures included?",
        (9,),
        "run",
        (
            Check("X5.1", "runs_accounted"),
            Check("X5.2", "exclusions_reasoned"),
            Check("X5.3", "failures_charged"),
        ),
        "resume the study until no run is missing; give every exclusion its reason",
    ),
    Rule(
        "X6",
        "Does every reported mean have an interval, with the method by which it was made?",
        (9,),
        "study",
        (Check("X6.1", "intervals_named"),),
        "list the report `summary`, and give every metric at least two runs that have it",
    ),
    Rule(
        "X7",
        "Are significance tests corrected, and could they have found anything?",
        (9,),
        "comparison",
        (Check("X7.1", "tests_corrected"), Check("X7.2", "tests_powered")),
        "set `analysis.correction: holm` and raise `replicates`, or declare the track descriptive",
        unless=Check("X7.0", "nothing_tested"),
    ),
    Rule(
        "X8",
        "Was a published figure reproduced within a margin fixed beforehand?",
        (4,),
        "study",
        (Check("X8.1", "reproduced"),),
        "list published figures of a baseline under `analysis.published`, and look into every difference",
    ),
    Rule(
        "X9",
        "Do the conclusions rest on two or more benchmarks?",
        (4, 10),
        "study",
        (Check("X9.1", "benchmarks_at_least", {"least": 2}),),
        "add a track on another data set or another space",
    ),
    Rule(
        "X10",
        "Does every table and figure come out again, byte for byte, from the raw records?",
        (14,),
        "study",
        (Check("X10.1", "reports_regenerate"),),
        "make the report again: python -m harness report RUN",
    ),
    Rule(
        "X11",
        "Are the data named by checksums that the record confirms?",
        (4, 14),
        "study",
        (Check("X11.1", "data_hashed"), Check("X11.2", "fingerprint_matches")),
        "import the data again, so that the benchmark's manifest holds their SHA-256",
    ),
    Rule(
        "X12",
        "Was a run of every method run again, and did it come out the same to the byte?",
        (9,),
        "method",
        (Check("X12.1", "replayed", {"path": "replay.json"}),),
        "python -m harness replay RUN",
    ),
)
