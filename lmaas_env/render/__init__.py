"""Pictures of the market: one period, one day, many days."""
