"""Baselines beside PPO from scratch: learners of RL libraries, an evolutionary one, and two from logged days."""
