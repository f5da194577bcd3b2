"""Slow searches over the prices of one period, and the certified optimum."""
