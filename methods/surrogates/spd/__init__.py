"""Hold the Synthetic Petri Dish: tiny motif networks, trained on learned data, that rank what they stand for.

Rawal, Lehman, Such, Clune and Stanley, Synthetic Petri Dish: A Novel Surrogate Model for Rapid Architecture Search
(arXiv 2005.13092), written afresh from the paper's description. Not to be confused with the growth method Petridish.
"""
