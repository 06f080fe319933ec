"""Write the ``.pth`` file that brings the start-up hook: the same for every Python below 3.18."""

import sys

from pycache_sys.core.delivery import PTH_NAME, Undo, site_files

(startup,) = sys.argv[1:]
sys.stdout.buffer.write(site_files(startup, (3, 11), Undo())[PTH_NAME])
