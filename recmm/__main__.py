"""`python -m recmm`."""

from recmm.cli import main

if __name__ == "__main__":
    main()
