"""`python -m datagen.run`, end to end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datagen.attack.evaluator import Batches
from datagen.config import parse_command_line
from datagen.store.folder import EntryStore, training_key
from datagen.training import pipeline
from datagen.training.checkpoint import load_checkpoint
from nasbench_ar import METRICS, Oracle, Table
from nasbench_ar.metrics import CORRUPTIONS, CURVES
from tests.datagen.conftest import TINY, Command, stripes, write_arrays
from tests.datagen.run.conftest import SMALLEST
from tests.files import contents
from tests.open_files import open_files

IMAGES_VARIABLE = "NASBENCH_AR_IMAGES"


def test_one_architecture_from_images_to_entry(words: list[str], tmp_path: Path, command: Command) -> None:
    code, out, err = command(*words, "attack.autoattack=compact", "attack.eps_255=4")
    assert code == 0, err
    assert "stripes.npz on CPU" in err
    assert "validation on 8 images: stripes.npz, val" in err
    assert "epoch 1 (2 of 2): train" in err
    assert "images/s, ends" in err
    assert "1-1-1-1: best epoch" in out
    assert "AA-Compact" in out
    assert "1 of 1 trainings have an entry" in out
    store = EntryStore(tmp_path / "store")
    (entry,) = store.entries()
    assert (entry.architecture, entry.arch_id, entry.seed) == (SMALLEST, 1, 0)
    assert (entry.params, entry.macs) == (store.space().params(SMALLEST), store.space().macs(SMALLEST))
    assert set(entry.curves) == set(CURVES)
    wanted = {name for name, metric in METRICS.items() if metric.split == "test"} - {"test_corrupt_acc"}
    assert set(entry.test) == wanted
    assert {len(mask) for mask in entry.masks.values()} == {8}
    facts = entry.provenance
    assert {"protocol_sha256", "dataset_sha256", "train_seconds", "test_seconds", "peak_memory_mib"} <= set(facts)
    assert facts["hardware"]["device"] == "cpu"
    assert "torch" in facts["versions"]
    assert facts["config"]["train"]["epochs"] == 2
    assert facts["evaluation_batch"] == 500
    work = store.work_folder(SMALLEST, 0)
    assert {"best.pt", "epoch-001.pt"} <= {p.name for p in work.iterdir()}
    assert not (work / "last.pt").exists()
    assert not list(tmp_path.rglob("*.partial"))


def test_a_deterministic_run_allows_no_other_operation_and_says_so(
    words: list[str], tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    code, _, err = command(*words, "attack.autoattack=compact", "deterministic=true")
    assert code == 0, err
    (entry,) = EntryStore(tmp_path / "store").entries()
    assert entry.provenance["hardware"]["deterministic"] is True
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_entry_is_of_the_best_epoch(words: list[str], tmp_path: Path, command: Command) -> None:
    assert command(*words, "train.epochs=3", "train.lr=0.01")[0] == 0
    store = EntryStore(tmp_path / "store")
    (entry,) = store.entries()
    config = parse_command_line([*words, "train.epochs=3", "train.lr=0.01"])
    generator = pipeline.Generator.prepare(config)
    classifier = generator.classifier(SMALLEST, 0, purpose="attack")
    best = load_checkpoint(store.work_folder(SMALLEST, 0) / "best.pt")
    assert best["epoch"] == entry.best_epoch
    classifier.network.load_state_dict(best["network"])
    with torch.no_grad(), classifier.frozen():
        right = classifier.network(generator.dataset.test.images).argmax(1) == generator.dataset.test.labels
    np.testing.assert_array_equal(right.numpy(), entry.masks["clean"])


def test_the_same_command_again_changes_nothing(words: list[str], tmp_path: Path, command: Command) -> None:
    command(*words)
    before = contents(tmp_path / "store")
    code, out, err = command(*words)
    assert code == 0
    assert "1 of 1 trainings have an entry in" in err
    assert "1 of 1 trainings have an entry" in out
    assert contents(tmp_path / "store") == before


def test_quiet_says_no_progress(words: list[str], tmp_path: Path, command: Command) -> None:
    loud, quiet = (
        command(*words, f"store={tmp_path / name}", *more)[1:] for name, *more in (("a",), ("b", "quiet=true"))
    )
    titled = [[line for line in err.splitlines() if "1-1-1-1 (1 of 1): " in line] for _, err in (loud, quiet)]
    assert any(": begins" in line for line in titled[0])
    assert any("epoch 0" in line for line in titled[0])
    assert titled[1] == []
    assert "1 of 1 trainings have an entry" in quiet[0]


def test_more_architectures_and_seeds_join_the_store(words: list[str], tmp_path: Path, command: Command) -> None:
    command(*words)
    more = [word for word in words if not word.startswith("archs=")]
    code, out, _ = command(*more, "archs=1-2,2-2-1-1", "train.epochs=2")
    assert code == 0
    assert "3 of 3 trainings have an entry" in out
    assert command(*words, "seed=1")[0] == 0
    store = EntryStore(tmp_path / "store")
    assert store.asked() == {training_key(entry.architecture, entry.seed) for entry in store.entries()}
    entries = store.entries()
    assert [(entry.arch_id, entry.seed) for entry in entries if entry.architecture == SMALLEST] == [(1, 0), (1, 1)]
    assert len(entries) == 4


def test_two_runs_give_the_same_numbers(words: list[str], tmp_path: Path, command: Command) -> None:
    command(*words)
    torch.rand(3)
    command(*words[:-1], f"store={tmp_path / 'second'}")
    (first,), (second,) = (EntryStore(tmp_path / name).entries() for name in ("store", "second"))
    assert (first.curves, first.test) == (second.curves, second.test)


def test_a_store_of_another_protocol_is_refused(words: list[str], tmp_path: Path, command: Command) -> None:
    command(*words)
    before = contents(tmp_path / "store")
    code, out, err = command(*words, "train.lr=0.05", "attack.eps_255=4")
    assert (code, out) == (2, "")
    assert "protocol.train.lr was 0.1, is 0.05; protocol.attack.eps_255 was 8.0, is 4.0" in err
    assert len(err.splitlines()) == 1
    assert contents(tmp_path / "store") == before


def test_other_images_are_refused(words: list[str], tmp_path: Path, command: Command) -> None:
    command(*words)
    images, labels = stripes(48, 77)
    write_arrays(tmp_path / "stripes.npz", test_images=images, test_labels=labels)
    code, _, err = command(*words)
    assert code == 2
    assert "dataset.test.sha256 was" in err


def test_settings_that_do_not_change_numbers_may_change(words: list[str], command: Command) -> None:
    command(*words)
    for change in ("batch=7", "channels_last=true", "threads=2", "device=auto"):
        if change != "device=auto" or not torch.cuda.is_available():
            assert command(*words, change)[0] == 0


def test_out_of_memory_in_the_test_halves_the_batch(
    words: list[str], tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_arrays(tmp_path / "stripes.npz")  # of 40 and 48 images to attack
    whole = pipeline.assess

    def hungry(classifier: Any, dataset: Any, config: Any, batches: Batches, **more: Any) -> Any:
        forward = classifier.network.forward

        def limited(x: torch.Tensor) -> torch.Tensor:
            if len(x) > 15:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            result: torch.Tensor = forward(x)
            return result

        classifier.network.forward = limited
        return whole(classifier, dataset, config, batches, **more)

    monkeypatch.setattr(pipeline, "assess", hungry)
    code, _, err = command(*words, "batch=40", "quiet=true")
    assert code == 0, err
    assert "1-1-1-1 (1 of 1): out of memory; evaluation goes on with batches of 20 instead of 40" in err
    (entry,) = EntryStore(tmp_path / "store").entries()
    assert entry.provenance["evaluation_batch"] == 10
    assert entry.provenance["config"]["train"]["batch"] == 16, "the training batch is never touched"


def test_corruptions_of_ones_own(words: list[str], tmp_path: Path, command: Command) -> None:
    folder = tmp_path / "corrupted"
    folder.mkdir()
    images, labels = stripes(8, 2)
    for name in CORRUPTIONS:
        np.save(folder / f"{name}.npy", np.concatenate([images] * 5))
    np.save(folder / "labels.npy", np.tile(labels, 5))
    code, out, err = command(*words, f"data.corruptions={folder}")
    assert code == 0, err
    (entry,) = EntryStore(tmp_path / "store").entries()
    assert entry.corruption_acc is not None
    assert (entry.corruption_acc == entry.test["test_clean_acc"]).all(), "these corruptions change nothing"
    assert entry.test["test_corrupt_acc"] == pytest.approx(entry.test["test_clean_acc"])
    assert "corruptions" in out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("archs=5-10-5-10-5-10", "architecture 5-10-5-10-5-10 has 6 numbers; expected 4"),
        ("archs=3-1-1-1", "3-1-1-1"),
        ("archs=17", "arch_ids run from 1 to 16"),
        ("archs=no/such/file", "no such file"),
        ("data.file=nowhere.npz", "there is no file nowhere.npz"),
        ("data.corruptions=nowhere", "nowhere lacks brightness.npy"),
        ("space.depth_choices=[2,1]", "depth_choices=(2, 1): expected ascending"),
        ("train.epoch=3", "unknown key 'train.epoch'; did you mean train.epochs"),
        ("device=tpu", "device=tpu: expected auto, all, cpu, cuda"),
        ("profile=cifar10 data.source=cifar10 data.folder=nowhere", "no intact CIFAR-10 in nowhere"),
        ("jobs=0", "jobs=0: expected null, a number of processes, or -1 for every core"),
        ("overhead_gb=-1", "overhead_gb=-1.0: expected a number of gigabytes from 0 to 1000"),
        ("lease=0", "lease=0.0: expected a number of seconds above 0"),
        ("attempts=0", "attempts=0: expected an integer of at least 1"),
        ("hours=-1", "hours=-1.0: expected null or a number above 0"),
        ("engine=slurm", "engine=slurm: expected one of loky, dask"),
        ("dask=tcp://here:1", "it goes with engine=dask and without jobs="),
        ("seeds=2-1", "seeds=2-1: expected numbers and ranges such as 0,2-4"),
        ("seeds=a", "seeds=a: expected numbers"),
        ("seeds=0-1 seed=1", "seed=1 and seeds=0-1: give one of them"),
        ("engine=dask dask=nowhere.json", "neither an address such as tcp://host:8786 nor a scheduler's file"),
    ],
)
def test_user_errors_are_one_line(
    words: list[str], tmp_path: Path, command: Command, change: str, message: str
) -> None:
    changes = change.split()
    keys = {word.split("=")[0] for word in changes}
    code, out, err = command(*[word for word in words if word.split("=")[0] not in keys], *changes)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "store").exists(), "nothing half-written"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_cuda_is_one_line(words: list[str], command: Command) -> None:
    code, _, err = command(*words, "device=cuda")
    assert code == 2
    assert err.startswith("error: device=cuda: ")
    assert len(err.splitlines()) == 1


def test_two_classes_cannot_take_the_targeted_loss(words: list[str], tmp_path: Path, command: Command) -> None:
    path = write_arrays(
        tmp_path / "two.npz",
        **{f"{p}_labels": np.arange(n) % 2 for p, n in (("train", 128), ("val", 40), ("test", 48))},
    )
    code, _, err = command(*words, f"data.file={path}", "attack.autoattack=compact")
    assert code == 2
    assert "needs at least 4 classes and the data has 2; use attack.autoattack=none" in err


def test_an_interrupt_says_how_to_go_on(words: list[str], command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "train", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
    code, _, err = command(*words)
    assert code == 130
    assert "the same command goes on from the last finished epoch or attack" in err


def test_help(command: Command) -> None:
    code, out, _ = command("--help")
    assert code == 0
    for word in ("archs=", "train.epochs=100", "attack.autoattack=compact", "digits"):
        assert word in out


def test_from_digits_to_a_race(tmp_path: Path, command: Command) -> None:
    settings = ["profile=digits", "space.depth_choices=[1,2]", "space.width_choices=[1,2]", "space.stages=1"]
    quick = ["train.epochs=1", "attack.autoattack=none", "attack.cw_steps=2", "attack.pgd_steps=2", "train.steps=1"]
    store, table = tmp_path / "store", tmp_path / "mytable"
    code, _, err = command(*settings, *quick, "archs=all", f"store={store}", "device=cpu")
    assert code == 0, err
    for module, *more in (
        ("datagen.export", f"store={store}", f"out={table}"),
        (
            "experiments.run",
            f"table={table}",
            "searcher=random_search",
            "queries=4",
            "runs=2",
            f"out={tmp_path}",
            "jobs=1",
        ),
    ):
        call = [sys.executable, "-m", module, *more]
        done = subprocess.run(call, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment())
        assert done.returncode == 0, done.stderr
    assert "Table mytable: made by datagen: scikit-learn digits, 4 trainings" in done.stdout
    oracle = Oracle(Table(table))
    assert len(oracle.column("val_pgd_acc")) == 4
    assert "scikit-learn digits" in oracle.label("val_pgd_acc")


def environment() -> dict[str, str]:
    root = Path(__file__).resolve().parents[3]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}


@pytest.mark.slow
def test_the_digits_profile_as_a_user_runs_it(tmp_path: Path, command: Command) -> None:
    began = time.monotonic()
    code, _, err = command("archs=5-10-5-10-5-10", "profile=digits", f"store={tmp_path / 'store'}")
    assert code == 0, err
    (entry,) = EntryStore(tmp_path / "store").entries()
    assert entry.test["test_clean_acc"] > 90
    assert entry.test["test_aa_acc"] > 55
    assert entry.test["test_aa_acc"] <= entry.test["test_cw_acc"]
    assert not any(entry.sanity.values())
    print(f"{time.monotonic() - began:.0f} s; {entry.test}")


def test_an_epoch_on_real_images_lifts_robust_accuracy_above_chance(tmp_path: Path, command: Command) -> None:
    given = os.environ.get(IMAGES_VARIABLE)
    if not given:
        pytest.skip(f"set {IMAGES_VARIABLE} to an .npz of 32x32 images as profile=arrays takes it")
    with np.load(given) as pack:
        cut = {"train": 4000, "val": 500, "test": 300}
        np.savez(
            tmp_path / "cut.npz",
            **{f"{p}_{kind}": pack[f"{p}_{kind}"][:n] for p, n in cut.items() for kind in ("images", "labels")},
        )
    settings = [*TINY[5:], f"data.file={tmp_path / 'cut.npz'}", f"store={tmp_path / 'store'}", "profile=arrays"]
    narrow = ["space.depth_choices=[1]", "space.width_choices=[2]", "space.unit_channels=4", "archs=1-2-1-2-1-2"]
    epoch = ["train.epochs=1", "train.batch=32", "train.steps=7", "train.crop_padding=4"]
    attacks = ["attack.pgd_steps=20", "attack.cw_steps=40"]
    code, _, err = command(*settings, *narrow, *epoch, *attacks)
    assert code == 0, err
    (entry,) = EntryStore(tmp_path / "store").entries()
    print({name: curve for name, curve in entry.curves.items() if name.endswith("acc")}, entry.test)
    # 500 images of ten classes: chance is 10 %, with a standard error of 1.3 points.
    assert entry.curves["val_pgd_acc"][0] > 15
    assert entry.test["test_pgd_acc"] > 13


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_in_mixed_precision(words: list[str], tmp_path: Path, command: Command) -> None:
    settings = [word for word in words if not word.startswith(("device=", "train.precision=", "attack.precision="))]
    code, _, err = command(*settings, "device=cuda", "attack.autoattack=compact", "attack.eps_255=4", "train.epochs=3")
    assert code == 0, err
    assert "training in bf16, test in tf32" in err
    (entry,) = EntryStore(tmp_path / "store").entries()
    assert entry.provenance["hardware"]["device"].startswith("cuda")
    assert entry.provenance["peak_memory_mib"] > 0
    assert entry.test["test_aa_acc"] <= entry.test["test_clean_acc"]
    assert max(entry.curves["train_acc"]) > 40


def test_few_open_files_are_one_line(words: list[str], command: Command) -> None:
    with open_files(20):
        code, out, err = command(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: a process may have only 20 files open here (ulimit -n)")
