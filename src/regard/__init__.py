"""Train, use and look into sequence models on your own text."""

from importlib.metadata import version

__version__ = version("regard")
