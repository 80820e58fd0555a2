"""`python -m recmm data describe`: statistics of a catalogue as tables, plots and a page."""
