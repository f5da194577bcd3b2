"""Customer strategies: RSR and the rivals it is compared with."""
