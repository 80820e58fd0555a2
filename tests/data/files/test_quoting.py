"""What a foreign file says, in a message."""

from recmm.data.files.quoting import SHOWN, shown, shown_value


def test_plain_text_stays_as_it_is() -> None:
    assert shown("user, itemID, Größe, 品") == "user, itemID, Größe, 品"
    assert shown_value({"a": [1, "b"]}) == "{'a': [1, 'b']}"


def test_what_a_terminal_acts_on_or_cannot_print_is_escaped() -> None:
    assert shown("a\x1b[31mb\r\n\u202e\ud800\0") == r"a\x1b[31mb\r\n\u202e\ud800\x00"


def test_length_and_depth_are_bounded() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    assert shown("x" * 10**6) == "x" * SHOWN + "..."
    assert len(shown_value(["x" * 10**6] * 10**6)) <= SHOWN + 3
    assert len(shown_value(nested)) < 40


def test_numbers_that_python_does_not_write_are_described() -> None:
    assert shown_value([2**20_000]) == "[a number of 20,001 bits]"
