"""The verbs and their options. What a verb does stands in its module, which is imported when it runs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from regard import __version__

app = typer.Typer(
    name="regard",
    help="Train, compare, show and serve sequence models on your own text.",
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
    list[Path], typer.Argument(help="One .tsv, or two files: source and target.", show_default=False)
]
DeviceOption = Annotated[Device, typer.Option(help="Where to compute.")]
BeamOption = Annotated[
    int | None, typer.Option(help="Hypotheses kept side by side; 1 is greedy.", show_default="as trained: 5")
]
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
    """Train, compare, show and serve sequence models on your own text."""


@app.command()
def demo(
    to: Annotated[Path, typer.Option(help="Directory for the run and its page.")] = Path("regard-demo"),
    minutes: Annotated[float, typer.Option(help="Minutes of training.", min=0.01)] = 3.0,
) -> None:
    """Train a small translator on an embedded corpus, translate, and show what it attended to."""
    from regard.cli.demo import run_demo

    run_demo(to, minutes)


@app.command()
def train(
    data: DataArgument,
    to: Annotated[Path, typer.Option(help="Directory for the run; the same command again resumes it.")],
    valid: Annotated[
        list[Path] | None, typer.Option(help="Validation data; give it twice for two files. Else some is held out.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="bahdanau or transformer.", show_default="transformer")] = None,
    preset: Annotated[str | None, typer.Option(help="tiny, small or base.", show_default="by corpus size")] = None,
    recipe: Annotated[Path | None, typer.Option(help="A TOML file of settings.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.key=value, over the recipe.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same as --set training.seed=N.")] = None,
    device: DeviceOption = Device.AUTO,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew, and delete what the run holds.")] = False,
) -> None:
    """Train a translator on pairs of sentences."""
    from regard.cli.train import Request, run_train

    run_train(Request(data, to, valid or [], model, preset, recipe, set_ or [], seed, device, fresh))


@app.command()
def translate(
    run: RunArgument,
    file: Annotated[Path | None, typer.Argument(help="Sentences, one a line; - or nothing is stdin.")] = None,
    beam: BeamOption = None,
    n_best: Annotated[int, typer.Option(help="Translations a sentence, with their log-probabilities.", min=1)] = 1,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Translate: one line in is one line out, in order. With --n-best N: line number, log-probability, translation."""
    from regard.cli.translate import run_translate

    run_translate(run, file, beam, n_best, device)


@app.command()
def evaluate(
    data: Annotated[
        list[Path] | None,
        typer.Argument(help="RUN, then one .tsv or two files: source and references.", metavar="[RUN DATA...]"),
    ] = None,
    hypothesis: Annotated[Path | None, typer.Option(help="Score this file, without a model.")] = None,
    reference: Annotated[Path | None, typer.Option(help="References of --hypothesis.")] = None,
    language: Annotated[
        str | None, typer.Option(help="Target language, for the literature's tokenisation.", show_default="the run's")
    ] = None,
    beam: BeamOption = None,
    device: DeviceOption = Device.AUTO,
    json: JsonOption = False,
) -> None:
    """Score translations of a test set: BLEU in two forms and chrF, each with sacreBLEU's signature."""
    from regard.cli.evaluate import evaluate_files, evaluate_run

    if hypothesis is not None or reference is not None:
        evaluate_files(data or [], hypothesis, reference, language, json)
    else:
        evaluate_run(data or [], language, beam, device, json)


@app.command()
def inspect(
    run: RunArgument,
    text: Annotated[str, typer.Argument(help="The sentence to translate and look into.", show_default=False)],
    to: Annotated[Path, typer.Option(help="Page (.html), picture (.png, .svg) or data (.json).")],
    target: Annotated[str | None, typer.Option(help="Explain this translation instead of the model's own.")] = None,
    beam: BeamOption = None,
    device: DeviceOption = Device.AUTO,
) -> None:
    """Show which source words each target word attended to, per layer and head."""
    from regard.cli.inspect import run_inspect

    run_inspect(run, text, to, target, beam, device)
