"""``python -m hilmix``."""

import sys

from hilmix.cli import main

sys.exit(main())
