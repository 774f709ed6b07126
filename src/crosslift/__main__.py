"""`python -m crosslift`: what executors start, so that a worker runs on the interpreter that launched it."""

from crosslift.cli import main

main()
