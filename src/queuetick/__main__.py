"""`python -m queuetick` is the console script `queuetick`."""

import sys

from queuetick.cli.main import main

sys.exit(main())
