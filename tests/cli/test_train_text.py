import torch

from regard.batch import collate_text
from regard.bundle import Bundle
from regard.cli.train_text import OverfittingWatch, TextJob, beginning
from regard.models.gpt import GPT, GPTConfig
from regard.pipeline import TextGenerator
from regard.presets import PRESETS
from regard.recipe import make_recipe
from regard.runtime import Runtime
from regard.text.reading.passages import Passages
from regard.text.tokens.tokenizer import Tokenizer

CPU = torch.device("cpu")


def bundle(text: str, **settings) -> Bundle:
    tokenizer = Tokenizer.train_running([text], "characters", 1000)
    torch.manual_seed(1)
    model = GPT(
        GPTConfig(**{"width": 8, "n_heads": 2, "n_layers": 1, "context": 16, "tied": True} | settings),
        *[tokenizer.vocabulary] * 2,
    )
    return Bundle(model.eval(), "gpt", tokenizer, tokenizer, {"job": "text", "data": {"documents": 1}})


def test_a_loss_that_turns_is_warned_of_once(capsys):
    watch = OverfittingWatch()
    for nll in (2.0, 1.5, 1.52):
        watch.see(nll)
    assert capsys.readouterr().err == ""
    for nll in (1.54, 1.7):
        watch.see(nll)
    assert capsys.readouterr().err.count("warning: the loss on validation has turned, from 1.500 to 1.540") == 1


def test_a_loss_that_turned_before_the_training_was_stopped_is_warned_of_after(capsys):
    text = "the cat sat on the mat. " * 8
    job, made = TextJob(*[Passages.of([text])] * 2), bundle(text)
    made.card["trained"] = {"best_score": -1.5}
    recipe = make_recipe("text", "gpt", "tiny", [PRESETS["text"]["tiny"]["gpt"]])
    job.validation(made, recipe, Runtime(CPU, 1))(made.model)
    assert "has turned, from 1.500 to 6." in capsys.readouterr().err


def test_a_sample_begins_with_what_fits_half_the_context():
    generator = TextGenerator(bundle("abc " * 30), CPU)
    assert beginning("abc " * 30, generator) == "abc a"  # 40, 20 and 10 characters are more than 8 tokens
    generator = TextGenerator(bundle("abc " * 30, context=100), CPU)
    assert beginning("abc " * 30, generator) == "abc " * 10


@torch.no_grad()
def test_the_loss_on_validation_is_that_of_windows_side_by_side():
    text = "the cat sat on the mat. " * 8
    job, made = TextJob(*[Passages.of([text])] * 2), bundle(text)
    recipe = make_recipe("text", "gpt", "tiny", [PRESETS["text"]["tiny"]["gpt"]])
    figures = job.validation(made, recipe, Runtime(CPU, 1))(made.model)
    ids = [1, *made.target_tokenizer.encode(text), 2]
    nll = 0.0
    for start in range(0, len(ids) - 1, 16):
        row = ids[max(0, min(start, len(ids) - 17)) : start + 17]
        hidden = made.model(collate_text([row]))[0]
        log_p = (hidden @ made.model.output_weight.T).log_softmax(-1)
        scored = min(16, len(ids) - 1 - start)
        nll -= sum(float(log_p[i, row[i + 1]]) for i in range(len(row) - 1 - scored, len(row) - 1))
    assert abs(figures["nll"] - nll / (len(ids) - 1)) < 1e-5
    assert figures["score"] == -figures["nll"]
    assert abs(figures["bits_per_byte"] - nll / 0.6931471805599453 / len(text)) < 1e-4
