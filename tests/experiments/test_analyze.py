"""The command of the analyses: files, skip lines, what is left out, errors; pictures are made of the CSV files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from experiments import analyze
from experiments.analysis import catalogue
from experiments.analysis.figure import Numbers
from experiments.analysis.table_data import TableData
from experiments.plots import style
from experiments.plots.style import PAGE, SMALLEST_FONT, print_style, write_figure
from nasbench_ar import (
    NARES,
    ConfigError,
    Metric,
    MissingEntryError,
    Oracle,
    ResultsError,
    SearchSpace,
    Table,
    TableWriter,
    load,
)
from tests.experiments.conftest import SPACE, Command, table_writer, write_table

DPI = 30


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """All there can be: attacks, stable accuracy, Lipschitz constants, curves, two seeds for one in five, a flag."""
    folder = tmp_path_factory.mktemp("rich") / "rich"
    rng = np.random.default_rng(7)
    with table_writer(folder, "rich") as writer:
        for index in range(SPACE.size):
            base = 30 + SPACE.vectors()[index].sum() + rng.normal()
            for seed in range(2 if index % 5 == 0 else 1):
                robust = round(2 * (base + rng.normal())) / 2  # 200 images
                curve = robust - np.array([9.0, 0, 1, 3])
                scalars = {"val_pgd_acc": robust, "best_epoch": 1.0, "test_clean_acc": round(base + 40)}
                scalars |= {"test_pgd_acc": robust + 10, "test_pgd_stable": robust + 30, "test_pgd_lip": 90 - robust}
                writer.add(
                    SPACE.from_index(index),
                    seed=seed,
                    scalars=scalars,
                    curves={
                        "val_pgd_acc": curve,
                        "val_cw_acc": curve - 1,
                        "train_loss": 3 - curve / 50,
                        "val_cw_loss": -5 * curve,
                    },
                    flags={"low_mode": index % 20 == 3},
                )
    return Table(folder)


def read_back(figure: analyze.Figure, numbers: Numbers, out: Path) -> Numbers:
    """The same numbers, from their CSV files."""
    paths = {part: out / (f"{figure.stem}_{part}.csv" if part else f"{figure.stem}.csv") for part in numbers.tables}
    # Before version 3, pandas by itself read the last digit inexactly; since then it does not want to be told.
    exactly: Any = {} if int(pd.__version__.partition(".")[0]) >= 3 else {"float_precision": "round_trip"}
    tables = {part: pd.read_csv(path, **exactly) for part, path in paths.items()}
    return Numbers(tables, (), numbers.note)


@pytest.fixture(scope="module")
def data(rich: Table) -> TableData:
    return TableData.of(Oracle(rich))


@pytest.fixture(scope="module")
def written(rich: Table, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Numbers], Path]:
    """The numbers of every figure, and where the command wrote it."""
    out, found = tmp_path_factory.mktemp("figures"), {}
    write = analyze.write

    def watched(figure: analyze.Figure, numbers: Numbers, *rest: Any, **how: Any) -> list[Path]:
        found[figure.name] = numbers
        return write(figure, numbers, *rest, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "LAYOUT", None)
        patch.setattr(analyze, "write", watched)
        analyze.main([f"table={rich.folder}", f"out={out}", f"dpi={DPI}"])
    return found, out


@pytest.mark.usefixtures("real_pictures")
@pytest.mark.parametrize("name", [name for name in catalogue.FIGURES if name != "external"])  # of NARes only
def test_every_picture_is_made_of_its_csv_files(
    name: str, written: tuple[dict[str, Numbers], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(style, "LAYOUT", None)  # which would take ten times as long
    numbers, out = written
    figure = catalogue.FIGURES[name]
    assert (out / f"{figure.stem}.pdf").stat().st_size > 1000
    again = figure.draw(read_back(figure, numbers[name], out))
    with print_style():
        write_figure(again, tmp_path / "again.png", dpi=DPI)
    assert (tmp_path / "again.png").read_bytes() == (out / f"{figure.stem}.png").read_bytes()
    width = again.get_size_inches()[0]
    assert 3.3 <= width <= PAGE
    texts = [text for text in again.findobj(Text) if text.get_text()]
    assert min(text.get_fontsize() for text in texts) >= SMALLEST_FONT
    assert not any("$" in text.get_text() for text in texts), "nothing reads formulas"
    assert any("left out: low_mode (4)" in text.get_text().replace("\n", " ") for text in texts)


def test_numbers_of_some_figures(data: TableData) -> None:
    oracle = data.oracle
    points = catalogue.FIGURES["2"].numbers(data).tables[""]
    assert len(points) == 77
    first = points.iloc[10]
    assert first["test_pgd_acc"] == oracle.query(first["arch"], "test_pgd_acc")
    assert (first["macs"], first["arch_id"]) == (SPACE.macs(first["arch"]), SPACE.arch_id(first["arch"]))

    levels = catalogue.FIGURES["3"].numbers(data).tables[""]
    row = levels[(levels["metric"] == "test_pgd_acc") & (levels["entry"] == "W2") & (levels["level"] == 4)].iloc[0]
    chosen = data.column("test_pgd_acc")[SPACE.vectors()[:, 3] == 4]
    assert (row["n"], row["mean"]) == (np.isfinite(chosen).sum(), pytest.approx(np.nanmean(chosen)))

    stable = catalogue.FIGURES["4"].numbers(data).tables["correlations"]
    assert stable["spearman"].tolist() == pytest.approx([1])
    lip = catalogue.FIGURES["5"].numbers(data).tables["correlations"]
    assert lip["kendall"].tolist() == pytest.approx([-1])

    shares = catalogue.FIGURES["anova"].numbers(data).tables[""].set_index("metric")
    assert (shares[["additive", "pairwise", "higher"]].sum(axis=1).to_numpy() == pytest.approx(1)) is True
    assert set(shares["noise_source"]) == {"seeds"}

    found = catalogue.FIGURES["curves"].numbers(data)
    curves = found.tables[""]
    known = np.flatnonzero(data.kept[oracle.table.arch_index])
    expected = np.asarray(oracle.table.curve("val_pgd_acc"))[known].mean(axis=0)
    assert curves[curves["metric"] == "val_pgd_acc"]["mean"].to_numpy() == pytest.approx(expected)
    names = [[line.get_label() for line in ax.get_lines()] for ax in catalogue.FIGURES["curves"].draw(found).axes]
    assert names[:3] == [["Val PGD20", "Val PGD-CW40"], ["Train loss"], ["Val PGD-CW40 loss"]], (
        "sums on an axis of theirs"
    )


def test_what_is_left_out(rich: Table, table: Table) -> None:
    oracle = Oracle(rich)
    assert TableData.of(oracle).left_out == {"low_mode": 4}
    assert TableData.of(oracle, []).left_out == {}
    assert np.isnan(TableData.of(oracle).column("val_pgd_acc")[3])
    assert "nothing left out, low_mode included" in TableData.of(oracle, []).note
    assert TableData.of(Oracle(table)).note == "nothing left out"
    with pytest.raises(ConfigError, match="leave_out=lowmode: table rich has no such flag; it has low_mode"):
        TableData.of(oracle, ["lowmode"])


def test_noise_of_images_where_there_is_one_seed(table: Table, tmp_path: Path) -> None:
    oracle = Oracle(table)
    shares = catalogue.FIGURES["anova"].numbers(TableData.of(oracle)).tables[""]
    assert shares["noise_source"].tolist() == ["unknown"], "the values are no multiples of anything"
    given = catalogue.FIGURES["anova"].numbers(TableData.of(oracle, images={"val": 2000})).tables[""].iloc[0]
    values = oracle.column("val_pgd_acc")
    assert given["noise"] == pytest.approx((values * (100 - values)).mean() / 2000 / values.var())
    assert given["method"] == "exact"


def test_a_table_that_lacks_columns_skips_with_a_reason(table: Table, command: Command, tmp_path: Path) -> None:
    words = (f"table={table.folder}", "figures=2,4,5,anova,noise,curves", f"out={tmp_path / 'new' / 'f'}", f"dpi={DPI}")
    out = command.passes(analyze.main, *words)[0]
    for line in (
        "skipped: table small has no stable accuracy (it needs a stable accuracy",
        "skipped: table small has no empirical Lipschitz constant",
        "skipped: table small has no curves over the epochs",
        "skipped: table small: 0 architectures have several trainings",
        "left out, Test PGD20: 54 of 81 values are too few for 33 coefficients",
        "Val PGD20 (exact;",
    ):
        assert line in out, line
    names = {path.name for path in (tmp_path / "new" / "f").iterdir()}
    assert {"figure2.pdf", "figure2.png", "figure2.csv", "figure2_envelopes.csv", "anova_effects.csv"} <= names
    assert not any(name.startswith(("figure4", "figure5", "noise", "curves")) for name in names)


def test_a_sparse_table_has_no_landscape(tmp_path: Path) -> None:
    sparse = write_table(tmp_path / "sparse", absent=tuple(range(50)))
    with pytest.raises(MissingEntryError, match="31 of 81 architectures have val_pgd_acc; where most neighbours"):
        catalogue.FIGURES["landscape"].numbers(TableData.of(Oracle(sparse)))


@pytest.mark.parametrize("count", [1, 2, 9, 10])
def test_what_few_architectures_cannot_say_is_left_out(count: int, tmp_path: Path, command: Command) -> None:
    rng = np.random.default_rng(0)
    with table_writer(tmp_path / "tiny", "tiny") as writer:
        for index in np.random.default_rng(3).permutation(SPACE.size)[:count].tolist():
            value = 30 + 5 * rng.random()
            scalars = {"val_pgd_acc": value, "test_pgd_acc": value + rng.random(), "test_pgd_stable": value + 30}
            scalars |= {"test_pgd_lip": 90 - value, "best_epoch": 1.0}
            curves = {"val_pgd_acc": value - np.array([9.0, 0, 1, 3])}
            writer.add(SPACE.from_index(index), seed=0, scalars=scalars, curves=curves)
    out = command.passes(analyze.main, f"table={tmp_path / 'tiny'}", f"out={tmp_path / 'f'}", f"dpi={DPI}")[0]
    assert not re.search(r"\bnan\b", out)
    skipped = out.count("skipped: ")
    assert skipped == (5 if count == 10 else 12), "anova, landscape, noise, external, scaling_law; and what needs ten"
    if 1 < count < 10:
        assert out.count(f"table tiny: {count} architectures have a value; at least 10 are needed") == 7


def test_one_metric_of_many_architectures_has_no_correlations(tmp_path: Path) -> None:
    with table_writer(tmp_path / "flat", "flat") as writer:
        for index in range(20):
            writer.add(SPACE.from_index(index), seed=0, scalars={"val_pgd_acc": 33.3})
    with pytest.raises(MissingEntryError, match="has no measured metric that varies"):
        catalogue.FIGURES["correlations"].numbers(TableData.of(Oracle(Table(tmp_path / "flat"))))


def own_metrics(folder: Path) -> TableData:
    """A metric of the table's own, and a constant one whose standard deviation is not 0 in doubles."""
    own = Metric("val_apgd_acc", "Val APGD", "val", "%", True, "own")
    rng = np.random.default_rng(4)
    words = {"title": "made up", "provenance": "made up", "licence": "none", "default_objective": own.name}
    with TableWriter(folder, name="own", space=SPACE, metrics=[own], source={}, **words) as writer:
        for index in range(SPACE.size):
            scalars = {"val_apgd_acc": 30 + rng.random(), "val_clean_acc": 80 + rng.random(), "test_clean_acc": 77.7}
            writer.add(SPACE.from_index(index), seed=0, scalars=scalars)
    return TableData.of(Oracle(Table(folder)))


def test_metrics_of_the_tables_own_are_among_all(tmp_path: Path) -> None:
    rows = catalogue.FIGURES["correlations"].numbers(own_metrics(tmp_path / "own")).tables[""]
    assert {*rows["first"], *rows["second"]} == {"macs", "params", "val_clean_acc", "val_apgd_acc"}


def test_a_constant_metric_has_no_shares_of_variance(tmp_path: Path) -> None:
    totals = catalogue.FIGURES["anova"].numbers(own_metrics(tmp_path / "own")).tables[""]
    assert "val_apgd_acc" in set(totals["metric"])
    assert "test_clean_acc" not in set(totals["metric"])


def test_all_that_tie_with_the_last_of_the_best_are_among_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.analysis.correlations.TOP", 20)
    rng = np.random.default_rng(5)
    with table_writer(tmp_path / "ties", "ties") as writer:
        for index in range(SPACE.size):
            values = {"val_pgd_acc": 30.0 + index // 27, "test_pgd_acc": 50 + rng.random()}
            writer.add(SPACE.from_index(index), seed=0, scalars=values)
    numbers = catalogue.FIGURES["correlations"].numbers(TableData.of(Oracle(Table(tmp_path / "ties"))))
    assert numbers.tables["validation_test"]["n_top"].tolist() == [27]
    assert "among the 27 best" in numbers.lines[0]


def test_directions_that_vary_alike_are_no_components(tmp_path: Path) -> None:
    space = SearchSpace(depth_choices=(1, 2, 3, 4), width_choices=(1, 2, 3, 4), stages=1)
    with table_writer(tmp_path / "all", "all", space=space) as writer:
        values = {"val_pgd_acc": 30 + np.random.default_rng(6).random(space.size)}
        writer.add_rows(range(space.size), np.zeros(space.size, dtype=int), values)
    numbers = catalogue.FIGURES["7"].numbers(TableData.of(Oracle(Table(tmp_path / "all"))))
    assert numbers.tables["components"].empty
    assert numbers.lines[1] == "best set: no component, since all directions vary alike"


def test_errors_of_the_command(table: Table, command: Command, tmp_path: Path) -> None:
    here = f"table={table.folder}"
    for words, message in (
        (["figures=8"], "figures=8: no such figure; there are all, 2, 3, 4, 5, 6, 7, correlations, anova"),
        (["figures=2,,3"], "figures=: no such figure"),
        (["leave_out=low_mode"], "leave_out=low_mode: table small has no such flag; it has none"),
        (["dpi=20"], "dpi='20': expected a whole number from 30 to 1200"),
        (["table=nowhere"], "no table 'nowhere'"),
    ):
        assert message in command.fails(analyze.main, here, *words)
    (tmp_path / "file").write_text("")
    assert "cannot write to" in command.fails(analyze.main, here, f"out={tmp_path / 'file'}")
    numbers = Numbers({"": pd.DataFrame({"a": [1]})}, (), "")
    with pytest.raises(ResultsError, match=r"cannot write .*figure2\.csv"):
        analyze.write(catalogue.FIGURES["2"], numbers, tmp_path / "absent")
    assert "anova" in command(analyze.main, "--help")[1]


def test_figures_are_chosen_by_name() -> None:
    assert [figure.name for figure in catalogue.choose_figures("anova, 2")] == ["2", "anova"]
    assert len(catalogue.choose_figures("all")) == len(catalogue.FIGURES) == 13


def test_the_embedded_table_agrees_with_the_published_components() -> None:
    data = TableData.of(load("nares-figures", quiet=True))
    assert data.oracle.space == NARES
    components = catalogue.FIGURES["7"].numbers(data).tables["components"]
    best = components[(components["set"] == "best") & (components["component"] == 1)].iloc[0]
    assert best["cosine_published"] > 0.995 > best["cosine_equal"]
