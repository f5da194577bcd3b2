"""Learned policies: files, the actor, residual pricing."""
