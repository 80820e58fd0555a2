"""Second stage of the report: the table of results, with the names, order and selection that all later stages use."""
