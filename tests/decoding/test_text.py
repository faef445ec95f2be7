import math

import pytest
import torch
from tests.fakes import steady

from regard.batch import BOS, EOS
from regard.decoding.engine import Engine
from regard.decoding.request import BeamSearch, Request
from regard.decoding.sampling import SamplingConfig
from regard.decoding.text import stream, text_request
from regard.errors import DataError
from regard.models.gpt import GPT, GPTConfig

NO_END = {EOS: -1e9}


def request_for(engine, prompt, **settings) -> Request:
    return engine.submit(text_request(engine, prompt, SamplingConfig(**settings)))


def written(model, prompt, **settings) -> list[int]:
    engine = Engine(model)
    return [token for token, _ in stream(engine, request_for(engine, prompt, **settings))]


def gpt(**settings) -> GPT:
    torch.manual_seed(1)
    model = GPT(GPTConfig(**{"width": 8, "n_heads": 2, "n_layers": 2, "context": 6} | settings), 12, 12).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn_like(parameter) * 0.5
    return model


def test_a_model_without_a_context_continues_no_text():
    model = steady({4: 1.0})
    model.context_length = None
    with pytest.raises(AssertionError, match="only a model with a context continues text"):
        text_request(Engine(model), [3], SamplingConfig())


def test_a_request_reads_the_last_token_of_its_prompt_first():
    engine = Engine(steady({4: 1.0}, context=9))
    request = text_request(engine, [5, 6, 7], SamplingConfig(max_tokens=4))
    assert (request.source, request.first, request.longest, request.context) == ([5, 6], 7, 4, 9)
    assert request.text == [5, 6, 7] and not request.finished


def test_prompts_that_do_not_fit_are_refused_before_anything_is_read():
    model = steady({4: 1.0}, context=4)
    engine = Engine(model)
    with pytest.raises(DataError, match=r"has 5 tokens.*context has 4.*never cut silently"):
        text_request(engine, [3] * 5, SamplingConfig())
    with pytest.raises(DataError, match="no tokens"):
        text_request(engine, [], SamplingConfig())
    assert model.begun == []


def test_the_log_probability_is_the_models_own():
    engine = Engine(steady({4: 0.5, 5: 0.5}))
    pairs = list(stream(engine, request_for(engine, [3], temperature=0.1, top_k=1, max_tokens=2)))
    assert [log_p for _, log_p in pairs] == pytest.approx([math.log(0.5)] * 2)


def test_between_two_tokens_the_caller_is_not_in_inference_mode():
    engine = Engine(steady({4: 1.0}))
    for _ in stream(engine, request_for(engine, [3], max_tokens=2)):
        assert not torch.is_inference_mode_enabled()
        weight = torch.ones(1, requires_grad=True)
        weight.square().backward()
        assert weight.grad is not None


def test_tokens_come_as_soon_as_they_are_written():
    model = steady({4: 1.0})
    engine = Engine(model)
    for n, _ in enumerate(stream(engine, request_for(engine, [3], max_tokens=5)), start=1):
        assert len(model.n_rows) == n


@pytest.mark.parametrize("settings", [{"greedy": True}, {"temperature": 2.0, "seed": 3}], ids=str)
def test_a_streamed_text_is_the_whole_text(settings):
    model = gpt()
    for prompt in ([4], [4, 5, 6], [7, 8, 9, 10, 11, 4]):
        engine, other = Engine(model), Engine(model)
        pairs = list(stream(engine, request_for(engine, prompt, max_tokens=20, **settings)))
        ((whole,),) = other.run([text_request(other, prompt, SamplingConfig(max_tokens=20, **settings))])
        assert [token for token, _ in pairs] == whole.ids
        if not whole.ended:
            assert sum(log_p for _, log_p in pairs) == pytest.approx(whole.log_probability)


def test_streams_of_several_texts_may_be_read_in_turns():
    engine, model = Engine(gpt()), gpt()
    settings = {"max_tokens": 12, "temperature": 1.5, "logit_bias": NO_END}
    requests = [request_for(engine, [4 + i], seed=i, **settings) for i in range(3)]
    streams, texts = [stream(engine, request) for request in requests], [[], [], []]
    for turn in range(36):
        token, _ = next(streams[turn % 3])
        texts[turn % 3].append(token)
    assert texts == [written(model, [4 + i], seed=i, **settings) for i in range(3)]


def test_who_stops_reading_stops_the_writing():
    model = steady({4: 1.0})
    engine = Engine(model)
    request = request_for(engine, [3], max_tokens=10)
    tokens = stream(engine, request)
    next(tokens)
    tokens.close()
    assert not engine.busy and not request.finished and request.written == [4]
    finished = request_for(engine, [3], max_tokens=1)
    assert list(stream(engine, finished)) and finished.finished


def test_a_text_that_is_finished_can_still_be_read():
    engine = Engine(steady({4: 1.0}))
    request = request_for(engine, [3], max_tokens=3)
    engine.run([])
    while engine.busy:
        engine.step()
    assert [token for token, _ in stream(engine, request)] == [4, 4, 4]


def test_a_full_context_is_begun_anew_from_its_last_half():
    model = steady({4: 1.0}, context=4)
    written(model, [7, 8, 9], max_tokens=5)
    assert model.begun == [[7, 8], [4]]  # then 9 and 4 are read, and three times 4
    assert model.n_rows == [1] * 5


@pytest.mark.parametrize("settings", [{"greedy": True}, {"greedy": True, "logit_bias": NO_END}], ids=str)
@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_a_text_longer_than_the_context_equals_one_begun_anew_by_hand(settings, positions):
    model = gpt(positions=positions)
    with torch.no_grad():
        model.output_weight[EOS] = 0.0  # never the likeliest
    text = [4, 5, *written(model, [4, 5], max_tokens=5, **settings)]
    for _ in range(3):
        text += written(model, text[-3:], max_tokens=4, **settings)
    assert len(text) == 2 + 5 + 3 * 4
    assert written(model, [4, 5], max_tokens=len(text) - 2, **settings) == text[2:]


@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_a_text_longer_than_the_context_is_the_same_beside_others(positions):
    """Some of which end or outgrow their context in between, so that places are freed and taken."""
    model = gpt(positions=positions)
    settings = [
        {"seed": i, "max_tokens": 1 + 7 * i % 31, "logit_bias": NO_END, "greedy": i % 3 == 0, "temperature": 1.5}
        for i in range(24)
    ]
    prompts = [[BOS, *(4 + (i + k) % 8 for k in range(i % 6))] for i in range(24)]
    expected = [written(model, prompt, **some) for prompt, some in zip(prompts, settings, strict=True)]
    engine = Engine(model)
    requests = [request_for(engine, prompt, **some) for prompt, some in zip(prompts, settings, strict=True)]
    while engine.busy:
        engine.step()
    assert [request.written for request in requests] == expected
    assert [len(request.log_probabilities) for request in requests] == [some["max_tokens"] for some in settings]


def test_a_greedy_text_may_be_asked_for_as_a_search():
    model = gpt(context=50)
    ((found,),) = Engine(model).run([Request([4, 5], 6, 20, BeamSearch(), 50)])
    assert found.ids == written(model, [4, 5, 6], greedy=True, max_tokens=20)
