"""Build the embedded table `nares-figures` from the arrays that were read back from figures.

    python scripts/build_nares_figures.py [sources/nares_figures.npz] [nasbench_ar/data/nares-figures]

The source holds, in order of arch_id, accuracies as percent x 100 (int16, -1 where
missing), `<name>_agree` where independent recoveries gave the same value, and the
marks `objective_imputed` and `low_mode`.  Replace it by a better recovery and run this.
"""

import argparse
from pathlib import Path

import numpy as np

from nasbench_ar import METRICS, NARES, TableWriter
from nasbench_ar.system.files import file_sha256

TITLE = "values of the real NARes networks, read back from figures their authors published (not the authors' release)"
PROVENANCE = (
    "The NARes authors published scatter plots of every trained architecture (accuracy against MACs and against "
    "params; 15,227 networks trained, 14,009 attacked, state of 2024-02-21) in the public repository "
    "ZaberKo/NAS-Bench-R-Vis. The values were recovered by finding, for each pair of plots, the values whose "
    "rendering equals the published images. They are measurements of real networks seen through a figure: neither "
    "the authors' release, which stays the reference, nor synthetic numbers."
)
NOTES = (
    "Exact where dots are sparse: the 20 best by test PGD20 equal the authors' list, the 300 best by the objective "
    "are identical in independent recoveries.",
    "In the dense middle (35 to 37.5 % validation PGD20) values are permuted among architectures of similar size, "
    "mean error near 0.3 points; correlations between metrics come out somewhat low.",
    "objective_imputed: 87 values of val_best_pgd_acc were filled by an additive model so that the objective is "
    "complete.",
    "low_mode: 1,737 networks more than 1.3 points below the additive model; about a tenth of the plotted networks "
    "came from one site whose training was defective and were retrained for the release.",
    "About 400 networks had not been trained at that date (their entries are artefacts where present), and 1,218 "
    "trained ones had not been attacked; 1,260 have no test value here. AA-Compact had been run on 11,558; about 800 "
    "further values are suspect.",
    "Not in the table: per-epoch curves, stable accuracy, LIP, losses, corruptions, training times.",
)
LICENCE = "Numbers read from figures that the NARes authors made public; cite the NARes paper when you use them."


def main() -> None:
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", nargs="?", type=Path, default=root / "sources/nares_figures.npz")
    parser.add_argument("folder", nargs="?", type=Path, default=root / "nasbench_ar/data/nares-figures")
    args = parser.parse_args()
    with np.load(args.source, allow_pickle=False) as pack:
        arrays = {name: pack[name] for name in pack.files}
    accuracies = [name for name in arrays if name in METRICS]
    marks = [name for name, array in arrays.items() if array.dtype == np.bool_]
    with TableWriter(
        args.folder,
        name="nares-figures",
        title=TITLE,
        provenance=PROVENANCE,
        space=NARES,
        default_objective="val_best_pgd_acc",
        licence=LICENCE,
        notes=NOTES,
        source={"file": args.source.name, "sha256": file_sha256(args.source), "repository": "ZaberKo/NAS-Bench-R-Vis"},
        replace=True,
    ) as writer:
        for row, arch_id in enumerate(arrays["arch_id"].tolist()):
            writer.add(
                NARES.from_arch_id(arch_id),
                seed=0,
                scalars={name: int(arrays[name][row]) / 100 for name in accuracies if arrays[name][row] >= 0},
                flags={name: bool(arrays[name][row]) for name in marks},
            )
    print(f"{args.folder}: {len(writer)} rows of {', '.join(accuracies)}")


if __name__ == "__main__":
    main()
