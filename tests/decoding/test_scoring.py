from itertools import pairwise

import torch

from regard.batch import collate_prompts
from regard.decoding.scoring import windows_nll
from regard.models.gpt import GPT, GPTConfig


def test_the_cost_of_windows_is_the_sum_over_what_counts_one_by_one():
    torch.manual_seed(1)
    model = GPT(GPTConfig(width=8, n_heads=2), 12, 12).double().eval()
    windows = [([1, 4, 5, 6, 7], 2), ([1, 8], 1), ([4, 5, 6, 7, 8], 4), ([3, 3, 3], 2)]
    expected = 0.0
    for ids, n in windows:
        state = model.begin(collate_prompts([[]]))
        for i, (read, gold) in enumerate(pairwise(ids)):
            logits, state = model.step(torch.tensor([read]), state)
            if i >= len(ids) - 1 - n:
                expected -= logits.log_softmax(-1)[0, gold].item()
    for batch_tokens in (1, 8, 1000):
        found = windows_nll(model, windows, batch_tokens, torch.device("cpu"))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
