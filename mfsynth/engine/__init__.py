"""Who runs the work: `open_engine` for jobs that end, here or on a Ray cluster; `Feed` for endless streams.

This machine's workers are spawned, never forked: OpenCV's threads do not survive a fork. Each has its own
pipe and shares no lock with the others, so a worker that is killed at any moment takes only its own job with
it (a pool's common queue stays locked forever if the worker that holds its lock dies).
Workers do not outlive their parent, and their parent waits for none of them without a time limit.

A spawned worker imports the script that started it. Without a guard the script reaches the same call again
there; the worker then exits with a code of its own, and its parent explains what to do.
"""

from mfsynth.engine.choice import LOCAL as LOCAL
from mfsynth.engine.choice import open_engine as open_engine
from mfsynth.engine.feed import Feed as Feed
from mfsynth.engine.guard import GUARD as GUARD
from mfsynth.engine.guard import check_guard as check_guard
from mfsynth.engine.guard import check_importing as check_importing
from mfsynth.engine.guard import check_script as check_script
from mfsynth.engine.jobs import Engine as Engine
from mfsynth.engine.jobs import EngineName as EngineName
from mfsynth.engine.jobs import Job as Job
from mfsynth.engine.local import run_jobs as run_jobs
from mfsynth.engine.local import usable_cores as usable_cores
from mfsynth.engine.machines import Shared as Shared
from mfsynth.engine.machines import check_machines as check_machines
from mfsynth.engine.machines import check_versions as check_versions
