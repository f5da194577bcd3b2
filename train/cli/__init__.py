"""The `lmaas` command: one file per sub-command."""
