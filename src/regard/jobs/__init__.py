"""What it means to train on pairs and on running text, and the one road of a training: new, resumed, or from a model.

JOBS owns everything that differs between the two kinds of corpora; whatever else is here knows a job by this only.
"""

from regard.jobs.job import Job
from regard.jobs.pairs import PAIRS
from regard.jobs.text import TEXT

JOBS: dict[str, Job] = {job.name: job for job in (PAIRS, TEXT)}
"""Name -> job. A bundle's card says which one it was trained for."""
