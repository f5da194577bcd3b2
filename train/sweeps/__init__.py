"""Sweeps: many independent cells, run by an engine, kept in a folder, and read as one table."""
