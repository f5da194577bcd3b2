"""One page of a results folder."""
