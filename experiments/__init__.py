"""Races of searchers on a table: seeded runs, Table 2, trajectories (NARes, section 5).

python -m experiments.run searcher=bananas runs=400
python -m experiments.table2 runs=400
python -m experiments.plot results/nares-figures/bananas results/nares-figures/random_search
python -m experiments.report
"""

import nasbench_ar  # noqa: F401  # first of all, since it lets Ctrl-C end a command in one line
from nasbench_ar.system.packages import check_not_hidden

check_not_hidden("searchers")
