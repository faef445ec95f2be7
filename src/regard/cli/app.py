"""The commands and their options. The code of a command is in its own module, which is imported when it runs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from regard import __version__
from regard.errors import ConfigError

app = typer.Typer(
    name="regard",
    help="Train, use and inspect sequence models on your own text.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Device(StrEnum):
    """Where to compute."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


RunArgument = Annotated[Path, typer.Argument(help="A run or a bundle directory.", show_default=False)]
DataArgument = Annotated[
    list[Path],
    typer.Argument(
        help="Pairs: one .tsv, or two files, source and target. Text: one .txt, or a directory of them.",
        show_default=False,
    ),
]
DeviceOption = Annotated[Device, typer.Option(help="Where to compute.")]
BeamOption = Annotated[int | None, typer.Option(help="Beam size; 1 is greedy search.", show_default="the run's: 5")]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Start from scratch; deletes models and checkpoints.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]


def version(show: bool) -> None:
    """Print the version and exit."""
    if show:
        print(f"regard {__version__}")
        raise typer.Exit


@app.callback()
def regard(
    show_version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train, use and inspect sequence models on your own text."""


@app.command()
def demo(
    to: Annotated[Path, typer.Option(help="Directory for the run and its page.")] = Path("regard-demo"),
    minutes: Annotated[float, typer.Option(help="Minutes of training, a third for the second part.", min=0.01)] = 4.5,
    fresh: FreshOption = False,
) -> None:
    """Train a small translator and a small language model on built-in text, and show their results."""
    from regard.cli.demo import run_demo

    run_demo(to, minutes, fresh)


@app.command()
def train(
    data: DataArgument,
    to: Annotated[Path, typer.Option(help="Directory for the run; the same command again resumes it.")],
    valid: Annotated[
        list[Path] | None, typer.Option(help="Validation data; give it twice for two files. By default, part of DATA.")
    ] = None,
    start: Annotated[
        Path | None, typer.Option("--from", help="A run or bundle whose weights and settings the new run starts with.")
    ] = None,
    guard: Annotated[
        list[Path] | None, typer.Option(help="More data to measure at each validation, to see what is forgotten.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="rnn, bahdanau, transformer or gpt.", show_default="transformer; gpt for running text"),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="tiny, small, base; thorough or quick; or a paper's: paper, gpt2, ...", show_default="by corpus size"
        ),
    ] = None,
    source_language: Annotated[
        str | None, typer.Option(help="Language code of the source.", show_default="recognised if certain")
    ] = None,
    target_language: Annotated[
        str | None, typer.Option(help="Language code of the target.", show_default="recognised if certain")
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="A TOML file of settings.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value, overrides the recipe; see regard settings.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same as --set training.seed=N.")] = None,
    device: DeviceOption = Device.AUTO,
    fresh: FreshOption = False,
) -> None:
    """Train a translator on pairs of sentences, or a language model on running text."""
    from regard.cli.train import run_train

    options = {"model": model, "preset": preset, "recipe": recipe, "seed": seed, "start": start}
    options |= {"source_language": source_language, "target_language": target_language}
    run_train(data, to, set_ or [], valid, guard, device=device, fresh=fresh, **options)


@app.command()
def settings(
    name: Annotated[
        str | None,
        typer.Argument(help="A section, a setting or its key: training, training.minutes.", show_default="all"),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", hidden=True, help="Print the page of the docs.")] = False,
) -> None:
    """Print every setting with its default, bounds and meaning."""
    from regard.cli.settings import run_settings

    run_settings(name, markdown)


@app.command()
def translate(
    run: RunArgument,
    file: Annotated[Path | None, typer.Argument(help="Sentences, one per line; - or no FILE reads stdin.")] = None,
    beam: BeamOption = None,
    to: Annotated[Path | None, typer.Option(help="File to write.", show_default="standard output")] = None,
    n_best: Annotated[int, typer.Option(help="Translations per sentence, best first, with their scores.", min=1)] = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace the file --to if it exists.")] = False,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Translate line by line, in order. With --n-best N, up to N lines each: line number, score, translation.

    Translations are ranked by the score: log-probability / length ** decoding.length_penalty.
    """
    from regard.cli.translate import run_translate

    run_translate(run, file, to, beam, n_best, device, force)


@app.command()
def generate(
    run: RunArgument,
    file: Annotated[Path | None, typer.Argument(help="A file whose text is the prompt.", show_default=False)] = None,
    prompt: Annotated[
        str | None, typer.Option(help="The text to continue.", show_default="the beginning of a document")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Maximum number of tokens.", show_default="256")] = None,
    temperature: Annotated[float | None, typer.Option(help="Higher is more random.", show_default="0.8")] = None,
    top_k: Annotated[int | None, typer.Option(help="Draw from the K most likely tokens.", show_default="all")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Draw from the top tokens with total probability P.", show_default="all")
    ] = None,
    min_p: Annotated[
        float | None, typer.Option(help="Leave out tokens below P times the highest probability.", show_default="none")
    ] = None,
    repetition_penalty: Annotated[
        float | None, typer.Option(help="Above 1, tokens in the text so far become less likely.", show_default="1")
    ] = None,
    greedy: Annotated[bool, typer.Option("--greedy", help="Always take the most likely token.")] = False,
    stop: Annotated[list[str] | None, typer.Option(help="Stop before this text; may be given several times.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the random draws.", show_default="0")] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Print the text as it is generated.")] = False,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Continue a text with a language model. The prompt itself is not printed."""
    from regard.cli.generate import run_generate

    options = {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
        "greedy": greedy or None,  # without the flag, the run's setting holds
        "seed": seed,
    }
    run_generate(run, file, prompt, options, stop or [], stream, device)


@app.command()
def evaluate(
    # RUN is the first of these, since with --hypothesis there is none.
    data: Annotated[
        list[Path] | None,
        typer.Argument(
            help="RUN, then one .tsv, two files (source and references), or one .txt.", metavar="[RUN DATA...]"
        ),
    ] = None,
    hypothesis: Annotated[Path | None, typer.Option(help="Score this file, without a model.")] = None,
    reference: Annotated[Path | None, typer.Option(help="References for --hypothesis.")] = None,
    language: Annotated[
        str | None, typer.Option(help="Target language, for the tokenisation of BLEU.", show_default="the run's")
    ] = None,
    beam: BeamOption = None,
    trained_on: Annotated[
        Path | None, typer.Option(help="The training text, so that a language model's baselines know it, too.")
    ] = None,
    device: DeviceOption = Device.AUTO,
    json: JsonOption = False,
) -> None:
    """Score a run: translations by BLEU in two forms and chrF, running text in bits per byte beside two baselines."""
    from regard.cli.evaluate import run_evaluate, run_evaluate_files

    if hypothesis is not None or reference is not None:
        if beam is not None or trained_on is not None:
            raise ConfigError("--beam and --trained-on are for a RUN; --hypothesis is scored without a model.")
        run_evaluate_files(data or [], hypothesis, reference, language, json)
    else:
        run_evaluate(data or [], language, beam, trained_on, device, json)


@app.command()
def inspect(
    run: RunArgument,
    text: Annotated[str, typer.Argument(help="The sentence to translate and inspect.", show_default=False)],
    to: Annotated[Path, typer.Option(help="Page (.html), picture (.png, .svg) or data (.json).")],
    target: Annotated[str | None, typer.Option(help="Explain this translation instead of the model's own.")] = None,
    beam: BeamOption = None,
    memory: Annotated[int, typer.Option(help="Memory limit for the attention weights, in MiB.", min=1)] = 1024,
    force: Annotated[bool, typer.Option("--force", help="Replace the file even if it is not one of ours.")] = False,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Show which source words each target word attended to, per layer and head."""
    from regard.cli.inspect import run_inspect

    run_inspect(run, text, to, target, beam, memory, force, device)


@app.command()
def prove(
    run: Annotated[
        Path | None, typer.Argument(help="A run or a bundle directory.", show_default="small random models")
    ] = None,
    device: DeviceOption = Device.AUTO,
    json: JsonOption = False,
) -> None:
    """Prove on this machine that every fast path equals its definition, in outputs and gradients."""
    from regard.cli.prove import run_prove

    run_prove(run, device, json)
