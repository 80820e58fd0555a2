"""The league: every method under the same masks within the same budget, and the table of its rows."""
