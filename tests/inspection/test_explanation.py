import html
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import names_in
from torch import Tensor

from regard.errors import ConfigError, RunError
from regard.inspection.explanation import (
    END,
    MARKS,
    START,
    WRITERS,
    AttentionMap,
    Explanation,
    as_data,
    by_words,
    explanation_of,
)
from regard.replacing import HEAD


def groupings(n_words: int) -> st.SearchStrategy[list[int]]:
    """Words of tokens: every word has a token, in any order, as with offsets that overlap."""
    return st.lists(st.integers(0, n_words - 1), max_size=6).flatmap(
        lambda more: st.permutations([*range(n_words), *more])
    )


def random_weights(n_heads: int, n_rows: int, n_columns: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_heads, n_rows, n_columns, generator=generator, dtype=torch.float64).softmax(-1)


@given(
    rows=st.integers(1, 6).flatmap(groupings),
    columns=st.integers(1, 6).flatmap(groupings),
    n_heads=st.integers(1, 3),
    seed=st.integers(0, 2**16),
)
def test_rows_sum_to_one_for_any_grouping(rows: list[int], columns: list[int], n_heads: int, seed: int) -> None:
    n_rows, n_columns = max(rows) + 1, max(columns) + 1
    found = by_words(random_weights(n_heads, len(rows), len(columns), seed), rows, columns, n_rows, n_columns)

    assert found.shape == (n_heads, n_rows, n_columns)
    torch.testing.assert_close(found.sum(-1), torch.ones_like(found.sum(-1)))


@given(
    rows=st.integers(1, 5).flatmap(groupings), columns=st.integers(1, 5).flatmap(groupings), seed=st.integers(0, 2**16)
)
def test_by_words_equals_sums_and_means_written_as_loops(rows: list[int], columns: list[int], seed: int) -> None:
    weights = random_weights(1, len(rows), len(columns), seed)
    found = by_words(weights, rows, columns, max(rows) + 1, max(columns) + 1)

    for i in range(max(rows) + 1):
        for j in range(max(columns) + 1):
            tokens = [t for t, word in enumerate(rows) if word == i]
            total = sum(weights[0, t, s].item() for t in tokens for s, word in enumerate(columns) if word == j)
            assert found[0, i, j].item() == pytest.approx(total / len(tokens))


def test_weights_worked_by_hand() -> None:
    weights = torch.tensor([[[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.0, 0.25, 0.75]]])

    found = by_words(weights, row_words=[0, 0, 1], column_words=[0, 1, 1], n_rows=2, n_columns=2)

    torch.testing.assert_close(found, torch.tensor([[[0.3, 0.7], [0.0, 1.0]]]))


def test_one_token_a_word_changes_nothing() -> None:
    weights = random_weights(2, 3, 4, seed=1)
    torch.testing.assert_close(by_words(weights, range(3), range(4), 3, 4), weights)


def test_a_word_without_tokens_looks_at_nothing_and_is_not_looked_at() -> None:
    found = by_words(torch.tensor([[[0.4, 0.6], [1.0, 0.0]]]), [0, 2], [0, 1], n_rows=4, n_columns=3)
    torch.testing.assert_close(
        found, torch.tensor([[[0.4, 0.6, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])
    )


def test_a_last_word_whose_neighbour_has_its_tokens_is_explained() -> None:
    captured = {"decoder.0.self": torch.tensor([[[1.0, 0.0], [0.3, 0.7]]])}
    found = explanation_of(captured, ["weather", END], [0, 1], ["天", "气", END], [0, 2], "one piece of two words")
    (item,) = found.maps
    torch.testing.assert_close(item.weights, torch.tensor([[[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.3, 0.7, 0.0]]]))


def test_every_token_needs_its_word() -> None:
    with pytest.raises(AssertionError, match="index of its word"):
        by_words(torch.ones(1, 2, 1), row_words=[0], column_words=[0], n_rows=1, n_columns=1)


def test_an_explanation_names_the_axes_and_reads_one_step_late() -> None:
    captured = {
        "encoder.0.self": torch.full((2, 3, 3), 1 / 3),
        "decoder.0.self": torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])[None],
        "decoder.0.cross": torch.full((2, 4, 3), 1 / 3),
    }
    found = explanation_of(captured, ["houses", END], [0, 0, 1], ["les", "maisons", END], [0, 1, 1, 2], "a title")
    maps = {item.name: item for item in found.maps}

    assert [(item.rows, item.columns) for item in found.maps] == [
        ("source", "source"),
        ("target", "read"),
        ("target", "source"),
    ]
    assert found.labels("read") == [START, "les", "maisons"]
    # Each position looked only at the token read there: <start>, les, the first half of maisons, its second half.
    expected = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]]])
    torch.testing.assert_close(maps["decoder.0.self"].weights, expected)
    torch.testing.assert_close(maps["decoder.0.cross"].weights, torch.tensor([[[2 / 3, 1 / 3]] * 3] * 2))


def test_a_decoder_that_stands_alone_looks_at_the_source_and_then_at_what_it_read() -> None:
    captured = {"decoder.0.source": torch.eye(3)[None], "decoder.0.context": torch.eye(7)[None, :4]}
    found = explanation_of(captured, ["houses", END], [0, 0, 1], ["les", "maisons", END], [0, 1, 1, 2], "a title")
    source, context = found.maps
    assert (source.rows, source.columns) == ("source", "source")
    assert (context.rows, context.columns) == ("target", "context")
    assert found.labels("context") == ["houses", END, START, "les", "maisons"]
    # Token by token it looked at: hou, ses, <end>, <start>, of which the middle two wrote maisons.
    expected = torch.tensor([[[1.0, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0], [0, 0, 1.0, 0, 0]]])
    torch.testing.assert_close(context.weights, expected)
    assert found.summary == "decoder.0.context"


def test_running_text_is_a_target_without_a_source() -> None:
    found = explanation_of({"decoder.0.context": torch.eye(3)[None]}, [], [], ["one", "two", END], [0, 1, 2], "a title")
    assert found.labels("context") == [START, "one", "two"] and found.source == []
    assert torch.equal(found.maps[0].weights, torch.eye(3)[None])


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["decoder.0.context", "decoder.0.source", "decoder.1.context"], "decoder.0.context"),
        (["decoder.cross"], "decoder.cross"),
        (["encoder.0.self", "decoder.0.cross", "decoder.1.cross", "decoder.2.cross"], "decoder.1.cross"),
        (["decoder.0.cross", "decoder.0.self"], "decoder.0.cross"),
    ],
)
def test_the_cross_attention_before_the_last_is_shown_first(names: list[str], shown: str) -> None:
    captured = {name: torch.ones(1, 1, 2 if name.endswith("context") else 1) for name in names}
    assert explanation_of(captured, [END], [0], [END], [0], "").summary == shown


def test_a_name_without_axes_is_refused() -> None:
    with pytest.raises(ValueError, match="does not end in self, cross, source or context"):
        explanation_of({"memory.0.look": torch.ones(1, 1, 1)}, [END], [0], [END], [0], "")


def attention_map(name: str = "decoder.cross", shape: tuple[int, ...] = (1, 1, 2)) -> AttentionMap:
    return AttentionMap(name, "target", "source", torch.full(shape, 0.5))


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ([], "there are none"),
        ([attention_map("other")], "'decoder.cross' is not one of the maps: other"),
        ([attention_map(), attention_map()], "two maps have the same name"),
        ([attention_map(shape=(1, 2, 1))], r"has shape \(1, 2, 1\), expected \(H, 1, 2\)"),
    ],
)
def test_maps_that_do_not_fit_are_refused(maps: list[AttentionMap], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Explanation(["a", "b"], ["c"], maps, "decoder.cross", "")


def test_json_holds_words_and_rounded_weights() -> None:
    weights = torch.tensor([[[2 / 3, 1 / 3]]])
    maps = [AttentionMap("decoder.cross", "target", "source", weights)]

    found = json.loads(Explanation(["日本", END], ["Ü"], maps, "decoder.cross", "t").to_json())

    assert found == {
        "generator": "regard",
        "title": "t",
        "summary": "decoder.cross",
        "source": ["日本", END],
        "target": ["Ü"],
        "read": [START],
        "context": ["日本", END, START],
        "maps": [{"name": "decoder.cross", "rows": "target", "columns": "source", "weights": [[[0.6667, 0.3333]]]}],
    }


def test_json_refuses_a_weight_that_is_no_number() -> None:
    maps = [AttentionMap("decoder.cross", "target", "source", torch.tensor([[[float("nan")]]]))]
    with pytest.raises(ValueError, match="JSON"):
        Explanation(["a"], ["b"], maps, "decoder.cross", "").to_json()


def small(title: str = "a title") -> Explanation:
    return Explanation(["a", END], ["b", END], [attention_map(shape=(1, 2, 2))], "decoder.cross", title)


def test_an_explanation_is_named_by_its_title() -> None:
    assert repr(small()) == "Explanation('a title', 1 maps)"


def test_a_notebook_shows_the_page_in_a_frame_that_can_do_nothing_else() -> None:
    found = small('"quoted" <b>')._repr_html_()
    frame = re.fullmatch(r'<iframe srcdoc="([^"]*)" sandbox="allow-scripts" style="[^"]*"></iframe>', found)
    assert frame is not None
    assert html.unescape(frame[1]) == small('"quoted" <b>').to_html()


def test_the_page_and_the_json_hold_the_same_data() -> None:
    assert json.loads(small().to_json()) == as_data(small())
    assert json.dumps(as_data(small()), ensure_ascii=False) in small().to_html().replace("\\u003c", "<").replace(
        "\\u003e", ">"
    )


def test_pictures_are_made_in_memory(tmp_path: Path) -> None:
    assert small().to_png().startswith(b"\x89PNG")
    assert ElementTree.fromstring(small().to_svg()).tag.endswith("svg")
    assert len(small().plot().axes) == 1
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("ending", WRITERS)
def test_what_is_saved_is_what_is_made_in_memory(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"attention{ending.upper()}"
    assert small().save(str(path)) == path
    made = getattr(small(), WRITERS[ending])()
    assert path.read_bytes() == (made.encode() if isinstance(made, str) else made)


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("title", ["a title", "</title>" * 5000, "x" * 100_000])
def test_a_file_of_ours_is_known_by_its_beginning_and_replaced(tmp_path: Path, ending: str, title: str) -> None:
    path = tmp_path / f"attention{ending}"
    small(title).save(path)
    assert MARKS[ending] in path.read_bytes()[:HEAD]
    small("another one").save(path)
    assert path.read_bytes() == small("another one").save(tmp_path / f"again{ending}").read_bytes()


@pytest.mark.parametrize("ending", WRITERS)
def test_a_file_of_somebody_else_is_not_replaced_unless_that_is_asked_for(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"thesis{ending}"
    path.write_bytes(b"years of work")
    with pytest.raises(RunError, match=r"regard did not write it.*Choose another name, or force=True to replace it\."):
        small().save(path)
    assert path.read_bytes() == b"years of work" and names_in(tmp_path) == [path.name]
    small().save(path, force=True)
    assert MARKS[ending] in path.read_bytes()


def test_a_file_of_ours_of_another_kind_is_not_replaced(tmp_path: Path) -> None:
    content = small().save(tmp_path / "attention.json").read_bytes()
    (tmp_path / "attention.json").rename(tmp_path / "attention.svg")
    with pytest.raises(RunError, match="regard did not write it"):
        small().save(tmp_path / "attention.svg")
    assert (tmp_path / "attention.svg").read_bytes() == content


@pytest.mark.parametrize(
    ("name", "found"), [("attention.gif", r"\.gif"), ("attention", "nothing"), (".html", "nothing")]
)
def test_another_ending_is_refused(tmp_path: Path, name: str, found: str) -> None:
    message = rf"{re.escape(name)} ends in {found}; the name must end in \.html, \.json, \.png, \.svg\."
    with pytest.raises(ConfigError, match=message):
        small().save(tmp_path / name)
    assert names_in(tmp_path) == []


def test_an_explanation_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    before = small().save(tmp_path / "attention.json").read_bytes()
    spoilt = AttentionMap("decoder.cross", "target", "source", torch.full((1, 2, 2), float("nan")))
    with pytest.raises(ValueError, match="JSON"):
        Explanation(["a", END], ["b", END], [spoilt], "decoder.cross", "").save(tmp_path / "attention.json")
    assert (tmp_path / "attention.json").read_bytes() == before and names_in(tmp_path) == ["attention.json"]


def test_a_directory_that_is_missing_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="does not exist"):
        small().save(tmp_path / "none" / "attention.html")
    assert names_in(tmp_path) == []
