"""Benchmarks, by name. A new benchmark is one file and one line here."""

BENCHMARKS: dict[str, str] = {
    "digits201": "benchmarks.tabular.digits201:Digits201",
    "growth-training": "benchmarks.training.growth_benchmark:GrowthTraining",
    "nb201": "benchmarks.tabular.nb201:NB201Table",
    "nb201-hybrid": "benchmarks.training.hybrid:NB201Hybrid",
    "nb201-training": "benchmarks.training.benchmark:NB201Training",
    "sigmoid-slope": "benchmarks.sigmoid_slope:SigmoidSlope",
    "table": "benchmarks.tabular.user:UserTable",
}
