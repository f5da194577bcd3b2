"""Training sellers by PPO."""
