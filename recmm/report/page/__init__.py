"""Last stage of the report: tables as CSV and LaTeX, figures for the browser, and one HTML page of all of it."""
