from kerascnn.errors import printable


def test_what_moves_a_cursor_is_escaped_and_letters_are_left():
    for text in ("Zürich 3, 数字 ♥", "9.41\u202fAM", "猫\u3000犬", "می\u200cخواهم", "👨\u200d👩"):
        assert printable(text) == text
    assert printable("a\n\t\x1b[31m\x7f\x9b\u202e\ud800") == r"a\n\t\x1b[31m\x7f\x9b\u202e\ud800"
