"""Selling days and scoring sellers."""
