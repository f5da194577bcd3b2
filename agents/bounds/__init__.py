"""Upper bounds on what any seller can earn."""
