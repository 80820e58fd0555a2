"""`python -m recmm data encode`: turns raw text, images and sound into item features."""
