"""Training on pairs and on running text: a new run, a resumed one, or one that starts from another model.

JOBS holds everything that differs between the two kinds of corpora; the other modules use only the interface of a job.
"""

from regard.jobs.job import Job
from regard.jobs.pairs import PAIRS
from regard.jobs.text import TEXT

JOBS: dict[str, Job] = {job.name: job for job in (PAIRS, TEXT)}
"""Name -> job. A bundle's card says which one it was trained for."""
