"""Run the command line as ``python3 -m pycache_sys``."""

import sys

from pycache_sys.cli import main

sys.exit(main())
