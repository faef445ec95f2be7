import math
from collections import Counter

import pytest
import torch
from pydantic import ValidationError

from regard.batch import BOS, EOS, PAD
from regard.decoding.sampling import SamplingConfig, generate
from regard.errors import DataError
from regard.models.gpt import GPT, GPTConfig
from regard.nn.state import State


class Table:
    """A model whose next token depends on nothing; it remembers all that it was given to read."""

    jobs = frozenset({"text"})
    output_weight = torch.zeros(10, 1)
    n_positions = None

    def forward(self, batch, trace=None):
        raise NotImplementedError

    def __init__(self, probabilities: dict[int, float], context: int = 16, never_written: slice = slice(3, 3)) -> None:
        self.context_length, self.never_written = context, never_written
        self.table = torch.full((1, 10), -1e9, dtype=torch.float64)
        for token, probability in probabilities.items():
            self.table[0, token] = math.log(probability)
        self.table[:, never_written] = float("-inf")
        self.begun: list[list[int]] = []

    def logits(self, hidden):
        raise NotImplementedError

    def begin(self, batch):
        self.begun.append(batch.source[0].tolist())
        return State({}, {})

    def step(self, last, state):
        self.begun[-1] = [*self.begun[-1], int(last)]
        return self.table.clone(), state


def written(model, prompt, **settings) -> list[int]:
    return [token for token, _ in generate(model, prompt, SamplingConfig(**settings))]


def test_tokens_come_as_often_as_they_are_likely():
    model = Table({4: 0.5, 5: 0.3, 6: 0.2}, context=10_000)
    counts = Counter(written(model, [3], max_tokens=3000, temperature=1.0))
    for token, probability in ((4, 0.5), (5, 0.3), (6, 0.2)):
        spread = math.sqrt(3000 * probability * (1 - probability))
        assert abs(counts[token] - 3000 * probability) < 4 * spread


def test_temperature_raises_probabilities_to_its_inverse():
    model = Table({4: 0.8, 5: 0.2}, context=10_000)
    counts = Counter(written(model, [3], max_tokens=3000, temperature=2.0))
    expected = 0.8**0.5 / (0.8**0.5 + 0.2**0.5)
    assert abs(counts[4] / 3000 - expected) < 4 * math.sqrt(expected * (1 - expected) / 3000)


def test_one_seed_one_text():
    model = Table({4: 0.5, 5: 0.5})
    assert written(model, [3], seed=1, max_tokens=14) == written(model, [3], seed=1, max_tokens=14)
    assert written(model, [3], seed=1, max_tokens=14) != written(model, [3], seed=2, max_tokens=14)


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    written(Table({4: 0.5, 5: 0.5}), [3])
    assert torch.equal(torch.get_rng_state(), before)


def test_greedy_takes_the_likeliest_and_rules_rule_out_the_rest():
    model = Table({4: 0.4, 5: 0.35, 6: 0.25}, context=1000)
    assert set(written(model, [3], greedy=True)) == {4}
    assert set(written(model, [3], top_k=2, temperature=1.0)) == {4, 5}
    assert set(written(model, [3], top_p=0.7, temperature=1.0)) == {4, 5}
    assert set(written(model, [3], min_p=0.7, temperature=1.0)) == {4, 5}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"temperature": 100, "top_p": 0.55}, {4, 5, 6}),  # the other way round: 4, 5
        ({"temperature": 100, "min_p": 0.9}, {4, 5, 6, 7}),  # 4
        ({"temperature": 1, "top_k": 2, "top_p": 0.55}, {4}),  # 4, 5
        ({"temperature": 1, "top_p": 0.55, "min_p": 0.6}, {4, 5}),  # 4
    ],
)
def test_the_rules_have_an_order(settings, expected):
    model = Table({4: 0.4, 5: 0.3, 6: 0.2, 7: 0.1}, context=1000)
    assert set(written(model, [3], **settings)) == expected


def test_the_penalty_comes_first_and_counts_the_prompt():
    model = Table({4: 0.4, 5: 0.35, 6: 0.25})
    assert written(model, [4], repetition_penalty=50.0, top_k=1, max_tokens=1) == [5]


def test_a_penalty_keeps_from_repeating():
    model = Table({4: 0.4, 5: 0.35, 6: 0.25}, context=1000)
    assert written(model, [3], greedy=True, repetition_penalty=50.0, max_tokens=3) == [4, 5, 6]


def test_it_ends_before_the_end_mark_and_never_writes_the_other_marks():
    assert written(Table({EOS: 1.0}), [3]) == []
    assert set(written(Table({PAD: 0.6, BOS: 0.3, 4: 0.1}), [3])) == {4}


@pytest.mark.parametrize(
    "settings",
    [
        *({"temperature": 1e9}, {"temperature": 1e-9}, {"top_k": 10, "temperature": 50.0}, {"top_p": 1.0}),
        *({"min_p": 0.0}, {"repetition_penalty": 1e-9}, {"repetition_penalty": 1e9, "greedy": True}, {"greedy": True}),
    ],
    ids=str,
)
def test_no_rule_brings_a_control_id_back(settings):
    """Not even if the prompt holds one, or where hardly anything else is likely."""
    model = Table({PAD: 0.9, 3: 0.05, 4: 0.04, 6: 0.01, 7: 1e-9}, context=1000, never_written=slice(3, 6))
    written_ids = written(model, [BOS, 3, 4, 5, 6], max_tokens=100, **settings)
    assert written_ids and set(written_ids) <= {6, 7, 8, 9}


def test_a_model_without_a_context_continues_no_text():
    model = Table({4: 1.0})
    model.context_length = None
    with pytest.raises(AssertionError, match="only a model with a context continues text"):
        generate(model, [3], SamplingConfig())


def test_the_log_probability_is_the_models_own():
    pairs = list(generate(Table({4: 0.5, 5: 0.5}), [3], SamplingConfig(temperature=0.1, top_k=1, max_tokens=2)))
    assert [log_p for _, log_p in pairs] == pytest.approx([math.log(0.5)] * 2)


def test_between_two_tokens_the_caller_is_not_in_inference_mode():
    for _ in generate(Table({4: 1.0}), [3], SamplingConfig(max_tokens=2)):
        assert not torch.is_inference_mode_enabled()
        weight = torch.ones(1, requires_grad=True)
        weight.square().backward()
        assert weight.grad is not None


def test_a_full_context_is_begun_anew_from_its_last_half():
    model = Table({4: 1.0}, context=4)
    written(model, [7, 8, 9], max_tokens=5)
    assert model.begun == [[7, 8, 9, 4], [4, 4, 4, 4]]
    for read in model.begun:
        assert len(read) <= 4


class Endless(GPT):
    """A model that never ends a document."""

    def step(self, last, state):
        logits, after = super().step(last, state)
        logits[:, EOS] = float("-inf")
        return logits, after


def test_a_text_longer_than_the_context_equals_one_begun_anew_by_hand():
    torch.manual_seed(1)
    model = Endless(GPTConfig(width=8, n_heads=2, n_layers=2, context=6), 12, 12).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn_like(parameter) * 0.5
    text = [4, 5, *written(model, [4, 5], greedy=True, max_tokens=5)]
    for _ in range(3):
        text += written(model, text[-3:], greedy=True, max_tokens=4)
    assert written(model, [4, 5], greedy=True, max_tokens=len(text) - 2) == text[2:]


def test_prompts_that_do_not_fit_are_refused_before_anything_is_read():
    model = Table({4: 1.0}, context=4)
    with pytest.raises(DataError, match=r"has 5 tokens.*context has 4.*never cut silently"):
        generate(model, [3] * 5, SamplingConfig())
    with pytest.raises(DataError, match="no tokens"):
        generate(model, [], SamplingConfig())
    assert model.begun == []


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("temperature", 0, "greater than 0"),
        ("temperature", -1, "greater than 0"),
        *((name, math.nan, "finite") for name in ("temperature", "top_p", "min_p", "repetition_penalty")),
        *((name, math.inf, "finite") for name in ("temperature", "repetition_penalty")),
        ("top_k", 0, "greater than or equal to 1"),
        ("top_p", 0, "greater than 0"),
        ("top_p", 1.5, "less than or equal to 1"),
        ("min_p", -0.1, "greater than or equal to 0"),
        ("min_p", 1.1, "less than or equal to 1"),
        ("repetition_penalty", 0, "greater than 0"),
        ("max_tokens", 0, "greater than or equal to 1"),
        ("seed", -1, "greater than or equal to 0"),
        ("seed", 2**63, "less than 9223372036854775808"),
        ("max_tokens", 2**20 + 1, "less than or equal to 1048576"),
        ("top_k", 2**31 + 1, "less than or equal to 2147483648"),
        ("beam", 4, "not permitted"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name, value, message):
    with pytest.raises(ValidationError, match=message) as refused:
        SamplingConfig(**{name: value})
    assert [error["loc"] for error in refused.value.errors()] == [(name,)]


def test_the_largest_seed_is_one():
    assert written(Table({4: 1.0}), [3], seed=2**63 - 1, max_tokens=1) == [4]
