"""Who runs the work: the processes of this machine. `run_jobs` for jobs that end, `Feed` for endless streams.

Workers are spawned, never forked: OpenCV's threads do not survive a fork. Each has its own pipe and shares
no lock with the others, so a worker that is killed at any moment takes only its own job with it (a pool's
common queue stays locked forever if the worker that holds its lock dies).
Workers do not outlive their parent, and their parent waits for none of them without a time limit.

A spawned worker imports the script that started it. Without a guard the script reaches the same call again
there; the worker then exits with a code of its own, and its parent explains what to do.
"""

from mfsynth.engine.feed import Feed as Feed
from mfsynth.engine.guard import GUARD as GUARD
from mfsynth.engine.guard import check_guard as check_guard
from mfsynth.engine.guard import check_importing as check_importing
from mfsynth.engine.guard import check_script as check_script
from mfsynth.engine.jobs import Job as Job
from mfsynth.engine.jobs import run_jobs as run_jobs
from mfsynth.engine.jobs import usable_cores as usable_cores
