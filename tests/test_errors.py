from kerascnn.errors import printable


def test_what_moves_a_cursor_is_escaped_and_letters_are_left():
    assert printable("Zürich 3, 数字 ♥") == "Zürich 3, 数字 ♥"
    assert printable("a\n\t\x1b[31m\x7f\x9b\u202e\ud800") == r"a\n\t\x1b[31m\x7f\x9b\u202e\ud800"
