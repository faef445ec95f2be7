import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from regard.batch import Place
from regard.bundle.card import Arithmetic, Card, DataCard, Parent, Progress

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.integers(0, 2**63 - 1)
NAMES = st.text(st.characters(codec="utf-8"), max_size=20)
CARDS = st.builds(
    Card,
    job=NAMES,
    data=st.builds(DataCard, fingerprint=NAMES, pairs=st.none() | COUNTS, kind=st.sampled_from([None, "file", "line"])),
    languages=st.tuples(st.none() | NAMES, st.none() | NAMES),
    decoding=st.dictionaries(
        NAMES, st.none() | st.booleans() | st.integers(-(2**60), 2**60) | NUMBERS | NAMES, max_size=4
    ),
    arithmetic=st.builds(Arithmetic, threads=st.integers(1, 99), precision=st.sampled_from([None, "bfloat16"])),
    trained=st.builds(
        Progress, step=COUNTS, best_score=st.none() | NUMBERS, budget=st.none() | st.just({"steps": 3.0})
    ),
    validation=st.dictionaries(NAMES, st.none() | NUMBERS, max_size=4),
    parent=st.none() | st.builds(Parent, path=NAMES, weights=NAMES, step=COUNTS),
)


@given(CARDS)
def test_a_card_comes_back_from_its_file_as_it_was(card):
    again = Card.model_validate_json(json.dumps(card.saved(), allow_nan=False))
    assert again == card
    assert [type(value) for value in again.decoding.values()] == [type(value) for value in card.decoding.values()]


def test_a_card_that_says_nothing_has_a_value_for_everything():
    card = Card.model_validate_json("{}")
    assert card == Card()
    assert (card.job, card.data.fingerprint, card.trained.step, card.parent) == ("pairs", "", 0, None)


def test_what_a_later_release_may_say_is_left_aside():
    card = Card.model_validate_json(
        '{"mood": "good", "data": {"fingerprint": "f", "colour": 3}, "trained": {"speed": 9}}'
    )
    assert card == Card(data=DataCard(fingerprint="f"))
    assert "mood" not in card.saved()


def test_a_progress_of_the_first_format_called_its_pool_a_window():
    assert Progress.model_validate_json('{"window": 4}').pool == Progress(pool=4).pool == 4
    assert Progress(pool=4).model_dump()["pool"] == 4


@pytest.mark.parametrize(
    "card",
    [
        *({"job": "x" * 33}, {"job": None}, {"data": {"fingerprint": "x" * 65}}, {"data": {"pairs": -1}}),
        *({"data": {"pairs": 2**63}}, {"data": {"pairs": 1.5}}, {"data": {"kind": "page"}}, {"languages": ["de"]}),
        *({"decoding": {"beam": [5]}}, {"decoding": {str(i): i for i in range(65)}}, {"arithmetic": {"threads": 0}}),
        *({"arithmetic": {"precision": "int4"}}, {"trained": {"step": "3"}}, {"trained": {"seconds": -0.5}}),
        *({"trained": {"budget": {str(i): 1.0 for i in range(4)}}}, {"validation": {"score": "high"}}),
        *(
            {"validation": {str(i): 1.0 for i in range(65)}},
            {"parent": {"weights": "w"}},
            {"parent": {"path": "x" * 4097}},
        ),
        {"trained": []},
    ],
    ids=str,
)
def test_a_field_of_another_type_or_size_is_refused(card):
    with pytest.raises(ValidationError):
        Card.model_validate_json(json.dumps(card))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_no_number_of_a_card_is_infinite(number):
    with pytest.raises(ValidationError, match="finite"):
        Card(validation={"score": number})
    with pytest.raises(ValidationError, match="finite"):
        Card.model_validate_json(json.dumps({"trained": {"seconds": number}}))


def test_the_place_of_a_progress_can_be_taken_and_set():
    progress = Progress(epoch=3, pool=2, batch=1)
    assert progress.place == Place(3, 2, 1)
    progress.place = Place(4, 5, 6)
    assert (progress.epoch, progress.pool, progress.batch) == (4, 5, 6)
