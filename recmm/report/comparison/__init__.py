"""Third stage of the report: methods against each other, as tables and as paired tests."""
