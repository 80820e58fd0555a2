"""Names of metrics and files."""

from recmm.report.results.naming import file_name


def test_file_names_hold_no_separator_and_do_not_hide() -> None:
    assert file_name("overall", "../A b (c)", "recall@20") == "overall-a-b-c-recall@20"
