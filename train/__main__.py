"""Entry point of the `lmaas` command and of ``python -m lmaas_train``."""

from __future__ import annotations

import sys

from lmaas_train.cli.main import COMMANDS, main

__all__ = ["COMMANDS", "main"]

if __name__ == "__main__":
    sys.exit(main())
