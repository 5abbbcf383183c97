"""``python -m trainer COMMAND``."""

import os

# OpenMP reads this when torch loads it. Threads that spin while they wait take the cores from
# whatever else runs, an editor or a second training, and then everything waits for everything: a
# fit of 420 steps beside a busy core took 15 s instead of 2. On a free machine nothing changes.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from pegasus_runtime.process_end import leave  # noqa: E402
from trainer.cli import main  # noqa: E402

if __name__ == "__main__":
    leave(main())
