"""`regard generate`: a prompt in, its continuation out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regard.cli.saying import out
from regard.errors import ConfigError
from regard.pipeline import TextGenerator
from regard.runtime import prepare_process
from regard.text.reading.files import opened, text_of
from regard.text.tokens.normalise import normalise_running


def run_generate(
    run: Path,
    file: Path | None,
    prompt: str | None,
    options: dict[str, Any],
    stop: Sequence[str],
    stream: bool,
    device: str,
) -> None:
    """Write the continuation of a prompt to stdout; `options` are the given settings of sampling, by name."""
    if file is not None and prompt is not None:
        raise ConfigError("Give either a FILE or --prompt, not both.")
    prepare_process()
    output = out()
    generator = TextGenerator.load(run, device)
    if file is not None:
        # Editors end a file with a newline, after which the model would start a new line.
        with opened(file) as content:
            prompt = normalise_running(text_of(content.read(), str(file))).removesuffix("\n")
    pieces = generator.generate(prompt, stream=True, stop=stop, **options)
    for piece in pieces if stream else ["".join(pieces)]:
        output.write(piece.encode())
        output.flush()
    output.write(b"\n")
    output.flush()
