"""Search methods, by name. A new method is one file and one line here."""

METHODS: dict[str, str] = {
    "random_search": "methods.random_search:RandomSearch",
    "random_sampling": "methods.random_sampling:RandomSampling",
    "regularized_evolution": "methods.regularized_evolution:RegularizedEvolution",
    "local_search": "methods.local_search:LocalSearch",
    "successive_halving": "methods.successive_halving:SuccessiveHalving",
    "hyperband": "methods.hyperband:Hyperband",
    "surrogate_search": "methods.surrogate_search:SurrogateSearch",
    "seed_model": "methods.seed_model:SeedModel",
    "petridish": "methods.petridish:Petridish",
    "petridish_hull_tabular": "methods.petridish_hull_tabular:PetridishHullTabular",
}
