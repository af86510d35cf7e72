"""The run that reads lines, as the tests of inference have it."""

from tests.inference.conftest import line_images, line_run

__all__ = ["line_images", "line_run"]
