"""Running text that every Python includes: the reference shown by `help("topics")`."""

from importlib import import_module


def python_topics() -> list[str]:
    """Return the topics of Python's own help, one document each, in the order of their names.

    They differ from one version of Python to the next.
    """
    topics: dict[str, str] = import_module("pydoc_data.topics").topics
    return [topics[name].strip() + "\n" for name in sorted(topics)]
