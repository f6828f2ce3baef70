"""``python -m hilmix``."""

import sys

from hilmix.cli import main

if __name__ == "__main__":  # importing it must not start a command
    sys.exit(main())
