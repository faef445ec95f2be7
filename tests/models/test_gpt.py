import pytest
import torch
from pydantic import ValidationError

from regard.batch import collate, collate_prompts, collate_text
from regard.errors import DataError
from regard.models.gpt import GPT, GPTConfig
from regard.nn.trace import Trace
from regard.presets import ON_TEXT


def build(**settings) -> GPT:
    torch.manual_seed(5)
    model = GPT(GPTConfig(**{"width": 8, "n_heads": 2, "n_layers": 2} | settings), 13, 13).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn_like(parameter) * 0.2
    return model


@pytest.mark.parametrize(
    ("preset", "n_parameters", "name"),
    [
        ("gpt2", 124_439_808, "124M"),
        ("gpt2-medium", 354_823_168, "355M"),
        ("gpt2-large", 774_030_080, "774M"),
        ("gpt2-xl", 1_557_611_200, "1558M"),
    ],
)
def test_gpt_2_has_its_published_number_of_parameters(preset, n_parameters, name):
    """The names are those under which the weights were published."""
    with torch.device("meta"):
        model = GPT(GPTConfig(**ON_TEXT[preset]["gpt"]["model"]), 50_257, 50_257)
    assert sum(p.numel() for p in model.parameters()) == n_parameters
    assert name == f"{n_parameters / 1e6:.0f}M"


def test_what_is_added_to_the_residual_stream_starts_smaller_with_depth():
    torch.manual_seed(0)
    model = GPT(GPTConfig(**ON_TEXT["gpt2"]["gpt"]["model"] | {"width": 96, "n_layers": 8, "n_heads": 2}), 99, 99)
    layer = model.layers[3]
    assert 0.0195 < layer.attention.qkv.weight.std().item() < 0.0205
    for linear in (layer.attention.output, layer.feed_forward.outer):
        assert 0.0047 < linear.weight.std().item() < 0.0053  # .02 / sqrt(16)
    assert torch.count_nonzero(layer.feed_forward.inner.bias) == 0


def test_by_default_every_layer_starts_as_nothing_added():
    torch.manual_seed(0)
    model = GPT(GPTConfig(), 20, 20).eval()
    ids = torch.tensor([[5, 6, 7]])
    expected = model.norm(model.embeddings.target(ids) * 128**0.5)
    torch.testing.assert_close(model(collate_text([[5, 6, 7, 8]])), expected)


def test_a_span_looks_back_so_far_and_no_further():
    model, trace = build(attention_span=3), Trace()
    model(collate_text([[1, 5, 6, 7, 8, 9, 10]]), trace)
    seen = trace.weights["decoder.1.context"][0, 0] > 0
    assert torch.equal(seen, torch.ones(6, 6, dtype=torch.bool).tril() & torch.ones(6, 6, dtype=torch.bool).triu(-2))


def test_a_source_is_looked_at_from_the_target_and_not_the_other_way_round():
    model, trace = build(), Trace()
    model(collate([[5, 6]], [[7]]), trace)
    assert trace.weights["decoder.0.source"].shape == (1, 2, 3, 3)
    assert trace.weights["decoder.0.context"].shape == (1, 2, 2, 5)
    assert torch.count_nonzero(trace.weights["decoder.0.source"].triu(1)) == 0
    assert (trace.weights["decoder.0.context"][..., :3] > 0).all()


def test_one_group_of_keys_serves_several_heads():
    model = build(n_heads=4, n_kv_heads=2)
    assert model.layers[0].attention.qkv.weight.shape == ((4 + 2 + 2) * 2, 8)
    state = model.begin(collate_prompts([[5, 6, 7]]))
    assert state.caches["0.keys"].shape[:2] == (1, 2) and state.used == [3]


def test_beyond_the_learned_positions_there_is_a_clear_error():
    model = build(positions="learned", context=4)
    with pytest.raises(DataError, match=r"has 5 tokens.*learned 4 positions"):
        model(collate_text([[1, 2, 3, 4, 5, 6]]))
    state = model.begin(collate_prompts([[1, 2, 3, 4]]))
    with pytest.raises(DataError, match="has 5 tokens"):
        model.read(torch.tensor([[5]]), state)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_heads": 3}, "n_heads is 3; it must divide width"),
        ({"width": 6, "n_heads": 2}, "heads of width 3; rotary positions need an even one"),
        ({"n_heads": 4, "n_kv_heads": 3}, "n_kv_heads is 3; it must divide n_heads"),
    ],
)
def test_heads_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        GPTConfig(**settings)


def test_the_context_is_all_that_is_attended_to_and_only_learned_positions_are_so_many():
    rotary, learned = build(context=9), build(context=9, positions="learned")
    assert (rotary.context_length, rotary.n_positions) == (9, None)
    assert (learned.context_length, learned.n_positions) == (9, 9)


def test_a_span_was_called_a_window_by_the_first_format():
    assert GPTConfig.model_validate({"window": 3}) == GPTConfig(attention_span=3)
    assert "window" not in GPTConfig(attention_span=3).model_dump()
