"""Griffe extension for the reference: attributes are documented as ``name : shape, unit``, which is not a type."""

from __future__ import annotations

from typing import Any

import griffe


class Shapes(griffe.Extension):
    """Show the text after an attribute's name as its description where it has no other."""

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Move the annotation of each documented attribute to its description."""
        if cls.docstring is None or "\nAttributes\n---" not in cls.docstring.value:
            return
        for section in cls.docstring.parsed:
            if isinstance(section, griffe.DocstringSectionAttributes):
                for attribute in section.value:
                    if not attribute.description:
                        text = str(attribute.annotation or "")
                        text = text[1:-1] if text.startswith("((") else text  # griffe reads "(N,), dB" as a tuple
                        attribute.description, attribute.annotation = text, None
