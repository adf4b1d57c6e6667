"""`python -m demo` is `highwayman demo`."""

import sys

from highwayman.serving.cli.main import main

main(["demo", *sys.argv[1:]], prog_name="highwayman")
