"""`regard generate`: a beginning in, its continuation out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regard.cli.saying import out
from regard.errors import ConfigError
from regard.pipeline import TextGenerator
from regard.runtime import prepare_process
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
    prepare_process()
    output = out()
    generator = TextGenerator.load(run, device)
    if file is not None:
        # Editors end a file with a line end, behind which the model would begin a new line.
        prompt = "\n".join(Passages.read(file, "file").documents()).removesuffix("\n")
    pieces = generator.generate(prompt, stream=True, stop=stop, **options)
    for piece in pieces if stream else ["".join(pieces)]:
        output.write(piece.encode())
        output.flush()
    output.write(b"\n")
    output.flush()
