"""``python -m rampart`` is the ``rampart`` program."""

from rampart.cli.main import main

main()
