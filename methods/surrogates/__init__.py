"""Surrogates that predict how good a cell is, by name. A new surrogate is one class and one line here."""

SURROGATES: dict[str, str] = {
    "random": "methods.surrogates.controls:Random",
    "constant_proxy": "methods.surrogates.controls:ConvolutionCount",
    "ridge": "methods.surrogates.controls:Ridge",
    "forest": "methods.surrogates.controls:Forest",
    "gaussian_process": "methods.surrogates.controls:GaussianProcess",
    "network": "methods.surrogates.controls:Network",
    "spd_untrained": "methods.surrogates.dishes:UntrainedDish",
    "spd": "methods.surrogates.dishes:SyntheticPetriDish",
    "spd_averaged": "methods.surrogates.dishes:AveragedDishes",
    "spd_emphatic": "methods.surrogates.dishes:EmphaticDish",
    "spd_forest": "methods.surrogates.dishes:DishAndForest",
    "spd_slope": "methods.surrogates.slope_dish:SlopeDish",
}
