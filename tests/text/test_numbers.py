from regard.text.numbers import lost_numbers, numbers_of


def test_numbers_are_told_by_their_digits():
    assert numbers_of("1,500 and 1.500 at 10:30, 7.") == {"1500": 2, "1030": 1, "7": 1}
    assert numbers_of("٣٫٥ и ૪૨, ２０") == {"3": 1, "5": 1, "42": 1, "20": 1}
    assert numbers_of("no number") == {}


def test_numbers_that_a_translation_lost_are_named_as_often_as_they_lack():
    assert lost_numbers("In 1999, 12 of 12 men.", "12 Männer, 1989.") == ["1999", "12"]
    assert lost_numbers("1,500 euros", "1.500 Euro") == []
    assert lost_numbers("1,500 euros", "1.501 Euro") == ["1,500"]
