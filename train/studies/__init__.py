"""Studies whose tables the documentation quotes."""
