"""The embedded table against the arrays it was built from, and the cost of loading it."""

import hashlib
import json
import re
from collections.abc import Callable

import numpy as np
import pytest

import nasbench_ar
from nasbench_ar import METRICS, NARES, Oracle
from tests.processes import ROOT, python

SOURCE = ROOT / "sources" / "nares_figures.npz"


@pytest.fixture
def oracle() -> Oracle:
    return nasbench_ar.load("nares-figures", quiet=True)


def test_every_value_is_the_sources(oracle: Oracle) -> None:
    with np.load(SOURCE, allow_pickle=False) as pack:
        arrays = {name: pack[name] for name in pack.files}
    table = oracle.table
    table.verify()
    order = arrays.pop("arch_id")
    index = NARES.arch_id_order[order - 1]
    assert sorted(index.tolist()) == list(range(15625))
    np.testing.assert_array_equal(table.arch_index, index)
    assert (table.seeds == 0).all()
    accuracies = {name for name in arrays if name in METRICS}
    assert set(table.scalar_names) == accuracies
    assert set(table.flag_names) == arrays.keys() - accuracies
    for name, array in arrays.items():
        if name in accuracies:
            assert array.dtype == np.int16
            expected = np.array([value / 100 if value >= 0 else np.nan for value in array.tolist()])
            np.testing.assert_array_equal(oracle.column(name)[index], expected)
        else:
            np.testing.assert_array_equal(oracle.flag(name)[index], array)


def test_provenance(oracle: Oracle) -> None:
    meta = oracle.table.meta
    assert meta["source"]["sha256"] == hashlib.sha256(SOURCE.read_bytes()).hexdigest()
    assert meta["default_objective"] == "val_best_pgd_acc"
    assert "not the authors' release" in oracle.title
    assert oracle.space == NARES


def test_hints_name_only_what_the_table_has(oracle: Oracle) -> None:
    """Most names of the catalogue are not in this table: none of them may be offered."""
    wrong: list[tuple[str, Callable[[], object]]] = [
        ("val_pdg_acc", lambda: oracle.query("WRN-34-10", "val_pdg_acc")),
        ("val_pdg_acc", lambda: oracle.query("WRN-34-10", "val_pdg_acc", seed="all")),
        ("val_pdg_acc", lambda: oracle.query("WRN-34-10", "val_pdg_acc", epoch=3)),
        ("nonsense", lambda: oracle.column("nonsense")),
        ("test_pgd_lipp", lambda: oracle.label("test_pgd_lipp")),
        ("val_pdg_acc", lambda: oracle.optimum("val_pdg_acc")),
        ("macs", lambda: oracle.optimum("macs", constraints="val_clan_acc>=70")),
        ("val_pdg_acc", lambda: oracle.session("val_pdg_acc", budget=5)),
        ("test_pgd_acc", lambda: oracle.session("test_pgd_acc", budget=5)),
        ("training_time_gpu_days", lambda: oracle.session("training_time_gpu_days", budget=5)),
        ("val_pdg_acc", lambda: oracle.session(budget=5, constraints="val_pdg_acc>=30")),
        ("macs", lambda: oracle.vector_session(["macs", "val_pdg_acc"], budget=5)),
        ("val_pdg_acc", lambda: oracle.fidelity_session("val_pdg_acc", budget=5)),
    ]
    for name, ask in wrong:
        with pytest.raises(nasbench_ar.MetricError) as raised:
            ask()
        message = str(raised.value)
        offered = {word for word in re.findall(r"[a-z_0-9]+", message) if word in METRICS} - {name}
        assert offered, message
        assert offered <= set(oracle.metrics), message


@pytest.mark.parametrize(
    ("name", "maximum"),
    [
        ("val_best_pgd_acc", 38.80),
        ("val_best_cw_acc", 37.55),
        ("test_clean_acc", 88.57),
        ("test_fgsm_acc", 62.68),
        ("test_pgd_acc", 57.39),
    ],
)
def test_column_maxima_are_the_published_optima(oracle: Oracle, name: str, maximum: float) -> None:
    assert oracle.optimum(name)[1] == maximum


def test_values_on_the_grid_of_the_measurements(oracle: Oracle) -> None:
    """2,000 validation images make steps of 0.05, 10,000 test images steps of 0.01."""
    for name in oracle.table.scalar_names:
        values = oracle.column(name)
        cents = np.round(values[~np.isnan(values)] * 100)
        assert np.isin(cents % (5 if name.startswith("val_") else 1), [0]).all()
        assert cents.min() >= 0
        assert cents.max() <= 10000


def test_the_objective_is_complete(oracle: Oracle) -> None:
    assert oracle.available("val_best_pgd_acc").all()
    assert oracle.searchable_space("val_best_pgd_acc") == NARES
    assert int(oracle.flag("objective_imputed").sum()) == 87


def test_loading_is_light() -> None:
    """Neither torch nor pandas, and none of what only the import needs."""
    code = (
        "import json, sys, nasbench_ar\n"
        "oracle = nasbench_ar.load('nares-figures', quiet=True)\n"
        "value = oracle.query('WRN-34-10', 'val_best_pgd_acc')\n"
        "print(json.dumps([value, sorted(m for m in sys.modules if '.' not in m)]))\n"
    )
    done = python("-W", "error", "-c", code)
    value, modules = json.loads(done.stdout)
    assert 30 < value < 39
    assert not {"torch", "pandas", "scipy", "sklearn", "matplotlib", "orjson", "tqdm", "tarfile"} & set(modules)
