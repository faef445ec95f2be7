"""The exceptions a user can meet. Each carries one message: what was found, what was expected, what to do.

RegardError                  anything the user can mend; the command line prints it and exits with 2
├── DataError                text that cannot be read, or does not fit together
├── ConfigError              a setting that is unknown or out of range
├── BundleError              a saved model that is missing, damaged or of another version
├── RunError                 an output directory that cannot be used
├── TrainingError            a training that cannot go on
└── MissingExtraError        an optional library that is not installed
"""


class RegardError(Exception):
    """A mistake that the user can mend."""


class DataError(RegardError):
    """Text that cannot be read, or two files that do not fit together."""


class ConfigError(RegardError):
    """A setting that is unknown, of the wrong type or out of range."""


class BundleError(RegardError):
    """A saved model that is missing, damaged or of another version."""


class RunError(RegardError):
    """An output directory that cannot be used."""


class TrainingError(RegardError):
    """A training that cannot go on."""


class MissingExtraError(RegardError):
    """An optional library that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional library. Install it with: pip install 'regard[{extra}]'")
