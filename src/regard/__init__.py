"""Train, compare, show and serve sequence models on your own text."""

from importlib.metadata import version

__version__ = version("regard")
