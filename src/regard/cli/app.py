"""The verbs and their options. What a verb does stands in its module, which is imported when it runs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from regard import __version__
from regard.errors import ConfigError

app = typer.Typer(
    name="regard",
    help="Train, use and look into sequence models on your own text.",
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
    typer.Argument(help="Pairs: one .tsv, or two files, source and target. Text: one .txt.", show_default=False),
]
DeviceOption = Annotated[Device, typer.Option(help="Where to compute.")]
BeamOption = Annotated[
    int | None, typer.Option(help="Hypotheses kept side by side; 1 is greedy.", show_default="as trained: 5")
]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Start anew; what the run has learnt is deleted.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]


def version(show: bool) -> None:
    """Print the version and leave."""
    if show:
        print(f"regard {__version__}")
        raise typer.Exit


@app.callback()
def regard(
    show_version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Train, use and look into sequence models on your own text."""


@app.command()
def demo(
    to: Annotated[Path, typer.Option(help="Directory for the run and its page.")] = Path("regard-demo"),
    minutes: Annotated[float, typer.Option(help="Minutes of training, a third for the second act.", min=0.01)] = 4.5,
    fresh: FreshOption = False,
) -> None:
    """Train a small translator and a small language model on embedded text, and show what they do and look at."""
    from regard.cli.demo import run_demo

    run_demo(to, minutes, fresh)


@app.command()
def train(
    data: DataArgument,
    to: Annotated[Path, typer.Option(help="Directory for the run; the same command again resumes it.")],
    valid: Annotated[
        list[Path] | None, typer.Option(help="Validation data; give it twice for two files. Else some is held out.")
    ] = None,
    start: Annotated[
        Path | None, typer.Option("--from", help="A run or bundle whose weights and settings the new run starts with.")
    ] = None,
    guard: Annotated[
        list[Path] | None, typer.Option(help="Data to measure beside the validation, to see what is forgotten.")
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
    recipe: Annotated[Path | None, typer.Option(help="A TOML file of settings.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.key=value, over the recipe.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same as --set training.seed=N.")] = None,
    device: DeviceOption = Device.AUTO,
    fresh: FreshOption = False,
) -> None:
    """Train a translator on pairs of sentences, or a language model on running text."""
    from regard.cli.train import run_train

    options = {"model": model, "preset": preset, "recipe": recipe, "seed": seed, "start": start}
    run_train(data, to, set_ or [], valid, guard, device=device, fresh=fresh, **options)


@app.command()
def translate(
    run: RunArgument,
    file: Annotated[Path | None, typer.Argument(help="Sentences, one a line; - or nothing is stdin.")] = None,
    beam: BeamOption = None,
    n_best: Annotated[int, typer.Option(help="Translations per sentence, best first, with their scores.", min=1)] = 1,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Translate: one line in is one line out, in order. With --n-best N: line number, score, translation.

    The score orders them: the log-probability over the length to the power of decoding.length_penalty.
    """
    from regard.cli.translate import run_translate

    run_translate(run, file, beam, n_best, device)


@app.command()
def generate(
    run: RunArgument,
    file: Annotated[Path | None, typer.Argument(help="A file whose text is the prompt.", show_default=False)] = None,
    prompt: Annotated[
        str | None, typer.Option(help="The text to go on from.", show_default="the beginning of a document")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="The most tokens to write.", show_default="256")] = None,
    temperature: Annotated[float | None, typer.Option(help="The higher, the wilder.", show_default="0.8")] = None,
    top_k: Annotated[int | None, typer.Option(help="Choose among the K likeliest.", show_default="all")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Choose among the likeliest that have P together.", show_default="all")
    ] = None,
    min_p: Annotated[
        float | None, typer.Option(help="Leave out what has less than P times the likeliest.", show_default="none")
    ] = None,
    repetition_penalty: Annotated[
        float | None, typer.Option(help="Above 1, what was written is less likely to return.", show_default="1")
    ] = None,
    greedy: Annotated[bool, typer.Option("--greedy", help="Always take the likeliest.")] = False,
    stop: Annotated[list[str] | None, typer.Option(help="Stop before this text; may be given again.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed, another text.", show_default="0")] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Print as it is written.")] = False,
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
        "greedy": greedy or None,  # a flag that is absent leaves what the run says
        "seed": seed,
    }
    run_generate(run, file, prompt, options, stop or [], stream, device)


@app.command()
def evaluate(
    # RUN is the first of these, since beside --hypothesis there is none.
    data: Annotated[
        list[Path] | None,
        typer.Argument(
            help="RUN, then one .tsv, or two files: source and references, or one .txt.", metavar="[RUN DATA...]"
        ),
    ] = None,
    hypothesis: Annotated[Path | None, typer.Option(help="Score this file, without a model.")] = None,
    reference: Annotated[Path | None, typer.Option(help="References of --hypothesis.")] = None,
    language: Annotated[
        str | None, typer.Option(help="Target language, for the literature's tokenisation.", show_default="the run's")
    ] = None,
    beam: BeamOption = None,
    trained_on: Annotated[
        Path | None, typer.Option(help="The training text, which the floors of a language model then know.")
    ] = None,
    device: DeviceOption = Device.AUTO,
    json: JsonOption = False,
) -> None:
    """Score a run: translations by BLEU in two forms and chrF, running text by its cost beside two floors."""
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
    text: Annotated[str, typer.Argument(help="The sentence to translate and look into.", show_default=False)],
    to: Annotated[Path, typer.Option(help="Page (.html), picture (.png, .svg) or data (.json).")],
    target: Annotated[str | None, typer.Option(help="Explain this translation instead of the model's own.")] = None,
    beam: BeamOption = None,
    memory: Annotated[int, typer.Option(help="MiB that the weights may take.", min=1)] = 1024,
    force: Annotated[bool, typer.Option("--force", help="Replace the file, whatever it is.")] = False,
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
    """Prove on this machine that every fast path equals its definition, outputs and gradients."""
    from regard.cli.prove import run_prove

    run_prove(run, device, json)
