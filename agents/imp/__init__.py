"""IMP, iterative model pricing: coordinate ascent with an exact line search and multistart."""
