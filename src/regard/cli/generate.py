"""`regard generate`: a beginning in, its continuation out."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from regard.decoding.sampling import SamplingConfig
from regard.errors import ConfigError
from regard.pipeline import TextGenerator
from regard.runtime import prepare_runtime
from regard.text.reading.passages import Passages


def run_generate(
    run: Path,
    file: Path | None,
    prompt: str | None,
    options: dict[str, Any],
    stop: Sequence[str],
    stream: bool,
    device: str,
) -> None:
    """Continue the prompt to stdout; `options` are the settings of sampling that were given, by name."""
    if file is not None and prompt is not None:
        raise ConfigError("Give either a FILE or --prompt, not both.")
    if "" in stop:
        raise ConfigError("--stop is empty, so nothing would be written. Give the text to stop before.")
    generator = TextGenerator.load(run, prepare_runtime(device).device)
    if file is not None:
        prompt = "\n".join(Passages.read(file, "file").documents()).removesuffix("\n")
    pieces = generator.generate(prompt, with_options(generator.sampling, options), stop)
    out = sys.stdout.buffer
    for piece in pieces if stream else ["".join(pieces)]:
        out.write(piece.encode())
        out.flush()
    out.write(b"\n")
    out.flush()


def with_options(sampling: SamplingConfig, options: dict[str, Any]) -> SamplingConfig:
    """Return the run's settings of sampling with those that were given. Raises ConfigError with all that do not fit."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return SamplingConfig.model_validate(sampling.model_dump() | given)
    except ValidationError as error:
        raise ConfigError(" ".join(map(_problem, error.errors()))) from error


def _problem(details: Any) -> str:
    """Return one sentence about an option that does not fit."""
    name = str(details["loc"][0])
    hint = " For the likeliest token, use --greedy." if name == "temperature" else ""
    return f"--{name.replace('_', '-')} is {details['input']}: {details['msg'][0].lower()}{details['msg'][1:]}.{hint}"
