import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.text.tokens.learnt import KINDS, learnt

from regard.errors import BundleError
from regard.text.tokens.file import FORMAT, digits_of, read, written
from regard.text.tokens.pipeline import pipeline_of
from regard.text.tokens.tokenizer import Tokenizer
from regard.text.tokens.vocabulary import SPECIALS, Vocabulary

LEARNT = {kind: learnt(kind) for kind in KINDS}
FIRST = {kind: pipeline_of(vocabulary).to_str() for kind, vocabulary in LEARNT.items()}
"""The file of the first format, which was that of the library `tokenizers`."""

each_kind = pytest.mark.parametrize("kind", KINDS)


def same(one: Vocabulary, other: Vocabulary) -> bool:
    sides = [(v.kind, v.running, v.n_control, [*v.pieces], [*map(tuple, v.merges)], [*v.scores]) for v in (one, other)]
    return sides[0] == sides[1]


def assert_refused(content: str | bytes, message: str) -> None:
    with pytest.raises(BundleError, match=message) as caught:
        read(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content, "t.json")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600


@each_kind
@pytest.mark.parametrize("n_control", [0, 5])
def test_a_vocabulary_comes_back_from_its_file_as_it_was(kind, n_control):
    vocabulary = learnt(kind, n_control)
    assert same(read(written(vocabulary).encode(), "t.json"), vocabulary)


@each_kind
def test_a_file_of_the_first_format_is_read_as_the_same_vocabulary(kind):
    assert same(read(FIRST[kind].encode(), "t.json"), LEARNT[kind])


def test_a_file_says_what_it_is_in_words():
    content = json.loads(written(learnt("bpe", 2)))
    facts = {name: value for name, value in content.items() if name not in ("pieces", "merges")}
    assert facts == {
        "format": FORMAT,
        "kind": "bpe",
        "running": False,
        "normalisation": 2,
        "digits": "apart",
        "n_control_ids": 2,
    }


@each_kind
def test_digits_are_cut_as_the_file_says(kind):
    runs = Tokenizer.train_running(["12 1212 12"] * 9, "bpe", 300)
    tokenizer = runs if kind == "running bpe" else Tokenizer(LEARNT[kind])
    pieces = [piece for piece in tokenizer.pieces(tokenizer.encode("1212")) if piece.strip()]
    assert (len(pieces) == 4) == (digits_of(LEARNT[kind]) == "apart")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"nonsense", b"\x00", b"[" * 100_000, b'{"a":' * 5_000])
def test_what_is_no_json_is_damaged(content):
    assert_refused(content, r"^t\.json is not a tokenizer, or is damaged: .*Train or copy it again\.$")


@pytest.mark.parametrize("content", [b"[1, 2]", b"3", b'"bpe"', b"null"])
def test_what_is_no_object_is_damaged(content):
    assert_refused(
        content, r"^t\.json is not a tokenizer, or is damaged: it is not a JSON object\. Train or copy it again\.$"
    )


@pytest.mark.parametrize("around", ['{{"format": 2, "pieces": {}}}', '{{"model": {}}}', "{}"])
def test_json_of_any_depth_is_refused_and_no_more(around):
    for depth in [*range(100, 900, 50), *range(900, 1010)]:
        assert_refused(around.format('{"a":' * depth + "1" + "}" * depth), r"t\.json|The tokenizer")


def test_a_step_of_any_depth_is_refused_and_no_more():
    for depth in [*range(100, 900, 50), *range(900, 1010)]:
        content = FIRST["bpe"].replace('"padding":null', f'"padding":{"[" * depth}{"]" * depth}')
        assert content != FIRST["bpe"]
        assert_refused(content, r"t\.json is")


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"format": 3}, "format: "),
    ({"format": "2"}, "format: "),
    ({"format": None}, "format: "),
    ({"kind": "words"}, "kind: "),
    ({"running": 1}, "running: "),
    ({"normalisation": 3}, "normalisation: "),
    ({"digits": "nowhere"}, "digits: "),
    ({"n_control_ids": -1}, "n_control_ids: "),
    ({"n_control_ids": 1025}, "n_control_ids: "),
    ({"n_control_ids": True}, "n_control_ids: "),
    ({"pieces": None}, "pieces: "),
    ({"pieces": [1]}, "pieces.0: "),
    ({"pieces": {"a": 1}}, "pieces: "),
    ({"merges": [["a"]]}, "merges.0.1: "),
    ({"merges": ["a b"]}, "merges.0: "),
    ({"scores": ["x"]}, "scores.0: "),
    ({"scores": [float("nan")]}, "scores.0: "),
    ({"scores": [float("inf")]}, "scores.0: "),
    ({"padding": {"length": 10**9}}, "padding: "),
    ({"normalizer\x1b[31m": {}}, r"normalizer\\x1b\[31m: "),
]


@pytest.mark.parametrize(("change", "where"), CHANGES, ids=str)
def test_a_file_of_another_shape_is_refused_by_what_is_wrong(change, where):
    content = json.loads(written(LEARNT["unigram" if "scores" in change else "bpe"]))
    assert_refused(json.dumps(content | change), rf"^t\.json is not a tokenizer, or is damaged: {where}")


@pytest.mark.parametrize("missing", ["kind", "running", "normalisation", "digits", "n_control_ids", "pieces"])
def test_a_file_that_leaves_something_out_is_refused(missing):
    content = json.loads(written(LEARNT["bpe"]))
    del content[missing]
    assert_refused(json.dumps(content), rf"damaged: {missing}: Field required")


@each_kind
def test_digits_that_are_cut_otherwise_than_the_kind_cuts_them_are_refused(kind):
    content = json.loads(written(LEARNT[kind]))
    other = {"apart": "in runs", "in runs": "apart"}[content["digits"]]
    assert_refused(json.dumps(content | {"digits": other}), f"t.json.*digits are '{other}'; its kind has others")


@each_kind
def test_a_vocabulary_that_does_not_fit_is_refused_with_the_name_of_the_file(kind):
    content = json.loads(written(LEARNT[kind]))
    assert_refused(
        json.dumps(content | {"pieces": content["pieces"][1:]}), r"^t\.json is not a tokenizer of regard: it lacks 1 p"
    )
    twice = [*content["pieces"], content["pieces"][0]]
    assert_refused(json.dumps(content | {"pieces": twice}), r"^t\.json is not a tokenizer of regard: .* occurs twice")


def test_a_lone_surrogate_is_refused():
    content = written(LEARNT["bpe"]).replace('"M"', '"\\ud800"')
    assert_refused(content, r"t\.json is")


@pytest.mark.parametrize("first", [["<pad>", "<s>"], ["<s>", "<pad>", "</s>"], ["<pad>", "<s>", "<unk>"], []])
def test_a_file_of_the_first_format_with_other_special_pieces_is_refused(first):
    content = json.loads(FIRST["bpe"])
    pieces = [piece for piece in content["model"]["vocab"] if piece not in SPECIALS]
    content["model"]["vocab"] = {piece: i for i, piece in enumerate([*first, *pieces])}
    assert_refused(json.dumps(content), r"t\.json.*must begin with the pieces <pad>, <s>, </s>, without gaps")


@pytest.mark.parametrize("at", [0, 2, 50])
def test_a_file_of_the_first_format_with_gaps_is_refused(at):
    content = json.loads(FIRST["characters"])
    content["model"]["vocab"] = {piece: i + (i > at) for piece, i in content["model"]["vocab"].items()}
    assert_refused(json.dumps(content), r"t\.json.*without gaps")


def test_a_file_of_the_first_format_that_could_meet_unknown_characters_is_refused():
    content = json.loads(FIRST["characters"])
    content["model"]["vocab"]["instead"] = content["model"]["vocab"].pop("<0xC3>")
    assert_refused(json.dumps(content), r"lacks 1 pieces, the first is '<0xC3>'")


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("type", "WordPiece"),
        ("type", None),
        ("vocab", [["<pad>", "x"]]),
        ("vocab", {"<pad>": "0"}),
        ("vocab", {"<pad>": 0.5}),
        ("vocab", None),
        ("merges", [["a", "b", "c"]]),
    ],
)
def test_a_model_of_another_shape_in_the_first_format_is_refused(part, value):
    content = json.loads(FIRST["bpe"])
    content["model"][part] = value
    assert_refused(json.dumps(content), r"^t\.json is not a tokenizer, or is damaged: model")
    assert_refused("{}", r"^t\.json is not a tokenizer, or is damaged: model: Field required")


PADDING = {
    "strategy": {"Fixed": 10**9},
    "direction": "Right",
    "pad_to_multiple_of": None,
    "pad_id": 0,
    "pad_type_id": 0,
}
EXPANDING = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 4096}
ADDED = {"id": 3, "content": "the", "single_word": False, "lstrip": False, "rstrip": False, "special": True}
STEPS: list[tuple[str, Any]] = [
    ("padding", PADDING | {"pad_token": "<pad>"}),
    ("truncation", {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0}),
    ("added_tokens", [ADDED | {"normalized": True}]),
    ("normalizer", EXPANDING),
    ("normalizer", {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": " "}, EXPANDING]}),
    ("normalizer", {"type": "Prepend", "prepend": "x"}),
    ("normalizer", {"type": "Lowercase"}),
    ("pre_tokenizer", {"type": "Whitespace"}),
    ("pre_tokenizer", {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}),
    ("post_processor", {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}),
    ("decoder", {"type": "Replace", "pattern": {"String": " "}, "content": "\n"}),
    ("decoder", {"type": "WordPiece", "prefix": "##", "cleanup": True}),
]


@each_kind
@pytest.mark.parametrize(("step", "value"), STEPS, ids=str)
def test_a_pipeline_with_another_step_is_refused_by_that_step(kind, step, value):
    content = json.loads(FIRST[kind])
    content[step] = value
    assert_refused(
        json.dumps(content), rf"^t\.json is not a tokenizer of regard: its {step} is .*Train or copy it again\.$"
    )


@pytest.mark.parametrize("step", ["normalizer", "pre_tokenizer", "decoder"])
def test_a_pipeline_without_one_of_its_steps_is_refused(step):
    content = json.loads(FIRST["bpe"])
    content[step] = None
    assert_refused(json.dumps(content), rf"not a tokenizer of regard: (its {step} is None|it has [\d,]+ merges for)")


@pytest.mark.parametrize("kind", ["bpe", "running bpe"])
@pytest.mark.parametrize(
    "setting",
    [
        *({"dropout": 0.5}, {"unk_token": "<s>"}, {"fuse_unk": True}, {"ignore_merges": True}),
        *({"continuing_subword_prefix": "##"}, {"end_of_word_suffix": "</w>"}),
    ],
    ids=str,
)
def test_a_model_with_other_settings_is_refused(kind, setting):
    content = json.loads(FIRST[kind])
    content["model"] |= setting
    assert_refused(
        json.dumps(content),
        r"^t\.json is not a tokenizer of regard: its model has other settings\. Train or copy it again\.$",
    )


@pytest.mark.parametrize(("kind", "has_it"), [("bpe", False), ("running bpe", True), ("unigram", False)])
def test_a_model_that_falls_back_to_bytes_otherwise_is_refused(kind, has_it):
    content = json.loads(FIRST[kind])
    content["model"]["byte_fallback"] = has_it
    assert_refused(json.dumps(content), "its model has other settings")


def test_what_another_release_of_the_library_says_beside_it_does_not_matter():
    content = json.loads(FIRST["running bpe"])
    content["something"] = None
    content["decoder"]["new_setting"] = False
    content["model"]["new_setting"] = None
    assert same(read(json.dumps(content).encode(), "t.json"), LEARNT["running bpe"])


@each_kind
@given(data=st.data())
def test_a_damaged_file_is_refused_or_means_a_vocabulary_that_fits(kind, data):
    """Whatever is read encodes any text without loss."""
    content = data.draw(st.sampled_from([FIRST[kind], written(LEARNT[kind])])).encode()
    damaged = damage(content, data.draw)
    try:
        vocabulary = read(damaged, "t.json")
    except BundleError:
        return
    tokenizer = Tokenizer(vocabulary)
    text = "Männer </s> <0xE2> 東 €  x"
    assert tokenizer.decode(tokenizer.encode(text)) == tokenizer.normalise(text)


def damage(content: bytes, draw: Callable[..., Any]) -> bytes:
    """Return a file with some bytes cut, changed or repeated."""
    at = draw(st.integers(0, len(content) - 1))
    n = draw(st.integers(1, 30))
    match draw(st.sampled_from(["cut", "change", "repeat", "end"])):
        case "cut":
            return content[:at] + content[at + n :]
        case "change":
            return (
                content[:at]
                + draw(st.sampled_from([b"\\", b'"', b"]", b"{", b"9", b"e9", b"\n", b"a"]))
                + content[at + 1 :]
            )
        case "repeat":
            return content[:at] + content[at : at + n] * 2 + content[at + n :]
    return content[:at]
