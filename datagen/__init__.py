"""datagen: adversarially train and evaluate any architecture of the space, and make tables of them.

    python -m datagen.plan archs=all profile=cifar10 gpus=8
    python -m datagen.run archs=5-10-5-10-5-10 profile=digits store=entries
    python -m datagen.status store=entries
    python -m datagen.export store=entries out=mytable
    python -m datagen.evaluate checkpoint=best.pt profile=digits

`docs/datagen.md` has profiles, the protocol, the files that are written and what an entry holds.
"""

import nasbench_ar  # noqa: F401  # first of all, since it lets Ctrl-C end a command in one line
