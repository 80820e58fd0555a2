"""Fourth stage of the report: which figures the results have, and their static form."""
