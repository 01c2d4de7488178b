"""For all tests of the server."""

import os

# A tiny model gains nothing from threads that wait for each other, and loses much where other work runs besides.
os.environ.setdefault("OMP_NUM_THREADS", "1")
