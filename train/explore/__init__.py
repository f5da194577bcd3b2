"""The interactive page behind `lmaas explore`."""
