"""What griffe does for the reference: attributes are documented here as ``name : shape, unit``, which is no type."""

from __future__ import annotations

from typing import Any

import griffe


class Shapes(griffe.Extension):
    """Show what follows an attribute's name as its description, where it has no other."""

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Move the texts of a class's docstring, once its members are known."""
        if cls.docstring is None or "\nAttributes\n---" not in cls.docstring.value:
            return
        for section in cls.docstring.parsed:
            if isinstance(section, griffe.DocstringSectionAttributes):
                for attribute in section.value:
                    if not attribute.description:
                        text = str(attribute.annotation or "")
                        text = text[1:-1] if text.startswith("((") else text  # "(N,), dB" was read as a tuple
                        attribute.description, attribute.annotation = text, None
