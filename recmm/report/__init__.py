"""What finished runs say, in one direction: records -> table of results -> comparison -> figures -> page."""
