"""`python -m datagen.status` on a store made by hand."""

from __future__ import annotations

import heapq
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datagen import status
from datagen.store.claims import Claim
from datagen.store.folder import EntryStore
from datagen.workers.progress import FEWEST, Rate, look, pace_of, rate_until
from nasbench_ar import Architecture
from tests.datagen.conftest import Command
from tests.datagen.synthetic_entries import SPACE, make_entry, make_store

HOUR = 3600.0


def architecture(arch_id: int) -> Architecture:
    return SPACE.from_arch_id(arch_id)


@pytest.fixture
def store(tmp_path: Path) -> EntryStore:
    """Of 16: 1 to 4 done, 1700 s apart, until now; 5 at work; 6 failed; 7 left by a dead worker; 8 once interrupted."""
    store = make_store(tmp_path / "store")
    now = store.claims.now()
    for arch_id in (1, 2, 3, 4):
        store.save(make_entry(architecture(arch_id)))
        then = now - 1700 * (4 - arch_id)
        os.utime(store.entry_path(architecture(arch_id), 0), (then, then))
    for arch_id, pid in ((5, os.getpid()), (7, 999_999_999)):
        claim = store.claims.take(f"{architecture(arch_id)}-seed0", device="cuda:1", command="c")
        assert isinstance(claim, Claim)
        path = store.claims.path(f"{architecture(arch_id)}-seed0")
        path.write_text(json.dumps({**json.loads(path.read_bytes()), "pid": pid, "host": "node7", "started": None}))
        store.record_progress(architecture(arch_id), 0, 41, 100)
    store.record_failure(
        store.failure(architecture(6), 0).failed("diverged", "cuda").interrupted().failed("again", "cpu")
    )
    store.record_failure(store.failure(architecture(8), 0).interrupted())
    return store


def macs(*arch_ids: int) -> int:
    return sum(SPACE.macs(architecture(arch_id)) for arch_id in arch_ids)


def test_what_was_asked_for_is_counted_and_the_space_on_request(store: EntryStore, command: Command) -> None:
    traces = {"asked": 8, "done": 4, "running": 1, "failed": 1, "missing": 2, "begun": 1}
    assert look(store).counts == {0: traces}, "of an old store, which does not know what it was asked for"
    for seeds in ([0], [0, 2], [0]):
        store.record_asked([(architecture(arch_id), seed) for arch_id in (3, 9, 10) for seed in seeds])
    found = look(store)
    nothing = dict.fromkeys(traces, 0)
    assert found.counts == {0: traces | {"asked": 10, "missing": 4}, 2: nothing | {"asked": 3, "missing": 3}}
    assert found.remaining_macs == round(0.58 * macs(5) + 0.58 * macs(7) + macs(8, 9, 10, 3, 9, 10))
    assert look(store, seeds=[2, 5]).counts == {2: nothing | {"asked": 3, "missing": 3}, 5: nothing}
    assert look(store, "all").counts[2] == nothing | {"asked": 16, "missing": 16}
    assert "archs=all counts all 16 architectures of the space" in command(f"store={store.folder}", main=status.main)[1]
    assert "archs=all" not in command(f"store={store.folder}", "archs=all", main=status.main)[1]


def test_files_of_what_was_asked_for_may_be_damaged(store: EntryStore) -> None:
    store.record_asked([(architecture(9), 0)])
    (store.folder / "asked/half.txt").write_bytes(
        b"\xff\n9-9-9-9-seed0\n1-1-1-1-seed\n\n1-1-1-1-seed99999999999999999999\n"
    )
    (store.folder / "asked/.x.partial").write_text(f"{architecture(10)}-seed0\n")
    (store.folder / "entries/9-9-9-9-seed0.json").write_text("of no architecture of the space")
    assert look(store).counts[0]["asked"] == 9


def test_counts_rates_and_the_estimated_end(store: EntryStore) -> None:
    found = look(store, "all")
    assert found.counts == {0: {"asked": 16, "done": 4, "running": 1, "failed": 1, "missing": 10, "begun": 1}}
    assert found.remaining_macs == round(0.58 * macs(5, 7) + macs(*range(8, 17)))
    assert found.last_hour.trainings == 3
    assert found.last_hour.macs == macs(2, 3, 4)
    assert found.last_hour.seconds == pytest.approx(HOUR, abs=1)
    assert found.overall.macs == macs(2, 3, 4)
    assert found.overall.seconds == pytest.approx(5100, abs=1)
    rate = (macs(2, 3, 4) + 0.42 * macs(5)) / found.overall.seconds  # since the first, whose own beginning is unknown
    assert found.ends - found.now == pytest.approx(found.remaining_macs / rate, rel=1e-3)
    (running,) = found.running
    assert (running.arch, running.seed, running.epoch, running.epochs) == (str(architecture(5)), 0, 41, 100)
    assert (running.holder.host, running.holder.device) == ("node7", "cuda:1")
    (failed,) = found.failed
    assert (failed.attempts, failed.interruptions, failed.last_error) == (2, 1, "again")


def test_a_part_and_another_seed(store: EntryStore) -> None:
    store.save(make_entry(architecture(2), seed=3))
    assert set(look(store).counts) == {0, 3}
    found = look(store, "1-5", [3, 4])
    assert found.counts[3] == {"asked": 5, "done": 1, "running": 0, "failed": 0, "missing": 4, "begun": 0}
    assert found.counts[4]["missing"] == 5
    assert found.last_hour == Rate(0, 0, found.last_hour.seconds)
    assert found.pace.trainings == 4, "of the whole store, the first of which starts the clock"


@pytest.mark.parametrize(
    ("until", "within", "wanted"),
    [
        (100, 60, Rate(2, 12, 60)),  # 50 and 90
        (100, 1000, Rate(3, 15, 90)),  # the clock begins with the training that ended at 10
        (45, 20, Rate(0, 0, 20)),
        (20, 100, Rate(0, 0, 10)),
        (5, 100, Rate(0, 0, 0)),
    ],
)
def test_rates(until: float, within: float, wanted: Rate) -> None:
    ends = [(50.0, 5), (10.0, 100), (90.0, 7), (15.0, 3)]
    if until == 20:
        ends.pop()
    found = rate_until(ends, until, within)
    assert (found.trainings, found.macs, found.seconds) == (wanted.trainings, wanted.macs, wanted.seconds)
    assert found.macs_a_second == pytest.approx(wanted.macs / wanted.seconds if wanted.seconds else 0)


def test_the_table(store: EntryStore, command: Command) -> None:
    code, out, err = command(f"store={store.folder}", main=status.main)
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0][-4:-2] == ["profile", "toy,"]
    assert lines[2] == ["seed", "asked", "done", "running", "failed", "missing"]
    assert lines[3] == ["0", "8", "4", "1", "1", "2", "(1", "of", "the", "missing", "begun)"]
    assert (
        f"{architecture(5)} seed 0: epoch 41 (42 of 100) stored; node7, process {os.getpid()}, on cuda:1 since" in out
    )
    assert f"{architecture(6)} seed 0: failed attempts 2, interruptions 1; again" in out
    assert "last hour: 3 trainings in 60 min" in out
    assert "overall:   3 trainings in 85 min" in out
    assert "estimated end: 20" in out


def test_json(store: EntryStore, command: Command) -> None:
    code, out, _ = command(f"store={store.folder}", "archs=all", "json=true", main=status.main)
    assert code == 0
    found: dict[str, Any] = json.loads(out)
    assert found["counts"]["0"]["done"] == 4
    assert found["running"][0]["pid"] == os.getpid()
    assert found["failed"][0]["errors"][1]["error"] == "again"
    assert found["estimated_end"].endswith("Z")
    assert found["remaining_macs"] == round(0.58 * macs(5, 7) + macs(*range(8, 17)))
    assert found["pace"]["trainings"] == 3


def test_files_of_one_time_tell_no_speed(tmp_path: Path, command: Command) -> None:
    store = make_store(tmp_path / "store")
    for arch_id in (1, 2, 3):
        store.save(make_entry(architecture(arch_id)))
        os.utime(store.entry_path(architecture(arch_id), 0), (0, 0))  # as an unpacked archive may have it
    printed = command(f"store={store.folder}", "archs=all", main=status.main)[1]
    assert "an hour" not in printed
    assert "estimated end: unknown" in printed


def test_a_finished_store_and_an_empty_one(tmp_path: Path, command: Command) -> None:
    store = make_store(tmp_path / "store")
    assert (
        "estimated end: unknown until an epoch or a training is done"
        in command(f"store={store.folder}", "archs=all", main=status.main)[1]
    )
    assert "nothing was asked for yet" in command(f"store={store.folder}", main=status.main)[1]
    store.save(make_entry(architecture(1)))
    out = command(f"store={store.folder}", "archs=1", main=status.main)[1]
    assert "nothing is missing" in out
    assert sorted(p.name for p in store.folder.iterdir()) == ["entries", "manifest.json"], "nothing is written"


def test_long_lists_are_cut(tmp_path: Path, command: Command) -> None:
    store = make_store(tmp_path / "store")
    for seed in (0, 1):
        for arch_id in range(1, 17):
            store.record_failure(store.failure(architecture(arch_id), seed).failed("diverged", "cpu"))
    assert "and 12 more: json=true lists them" in command(f"store={store.folder}", main=status.main)[1]


def test_damage_is_shown_and_hides_nothing(store: EntryStore) -> None:
    store.failure_path(architecture(6), 0).write_text("half")
    store.claims.path(f"{architecture(5)}-seed0").write_text("half")
    (store.work_folder(architecture(5), 0) / "progress.json").write_text("half")
    found = look(store)
    assert "is damaged" in found.failed[0].last_error
    assert found.running[0].holder.host == "an unknown host"
    assert found.running[0].epoch is None
    for content in ('{"epoch": -1, "epochs": 3}', '{"epoch": 1e999, "epochs": 3}', '{"epoch": 7, "epochs": 3}'):
        (store.work_folder(architecture(5), 0) / "progress.json").write_text(content)
        assert look(store).running[0].epoch is None


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("store=nowhere", "nowhere is no store"),
        ("shop=1", "unknown key 'shop'; valid keys: store, archs, seeds, lease, json"),
        ("lease=long", "lease=long: expected a number of seconds above 0"),
        ("lease=inf", "lease=inf: expected a number of seconds above 0"),
        ("seeds=x", "seeds=x: expected numbers"),
        ("archs=99", "arch_ids run from 1 to 16"),
    ],
)
def test_wrong_words(store: EntryStore, command: Command, word: str, message: str) -> None:
    code, out, err = command(f"store={store.folder}", word, main=status.main)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(("gpus", "days"), [(8, 1.0), (64, 1.0), (64, 0.02), (256, 1.0)])
def test_the_estimate_is_near_the_truth_from_the_first_epoch_on(gpus: int, days: float) -> None:
    """All begin together, the longest first, as `datagen.run` has it; `days` is the median training's time."""
    rng = np.random.default_rng(gpus)
    cost = np.sort(rng.lognormal(0, 0.6, 4000))[::-1]
    free, ends = [0.0] * gpus, []
    for seconds in 86_400 * days * cost * rng.lognormal(0, 0.05, len(cost)):
        ends.append(heapq.heappop(free) + seconds)
        heapq.heappush(free, ends[-1])
    end, macs = np.array(ends), (1e6 * cost).round()
    begin = end - 86_400 * days * cost
    ratios = []
    for now in rng.uniform(0.01, 0.6, 100) * end.max():
        done, going = end <= now, (begin <= now) & (end > now)
        stored = np.floor(100 * (now - begin[going]) / (end - begin)[going]) / 100 @ macs[going]
        finished = [(t, int(m)) for t, m in zip(end[done], macs[done], strict=True)]
        rate = pace_of(finished, began=0.0, now=now, under_way=stored, workers=int(going.sum())).macs_a_second
        ratios.append((macs[~done].sum() - stored) / rate / (end.max() - now))
    assert 0.9 < np.median(ratios) < 1.1
    assert 0.65 < min(ratios) < max(ratios) < 1.5


def test_the_pace_is_that_of_the_last_hour_or_of_enough_trainings() -> None:
    def pace(ends: list[tuple[float, int]], now: float, workers: int) -> Rate:
        return pace_of(ends, began=0.0, now=now, under_way=0.0, workers=workers)

    ends = [(float(end), 2) for end in range(1, FEWEST + 1)]
    assert pace(ends, 1e6, 0) == Rate(FEWEST, 2 * FEWEST, float(FEWEST)), "nobody works any more"
    assert pace([*ends, (4000.0, 7)], 1e6, 0) == Rate(FEWEST, 2 * (FEWEST - 1) + 7, 3999.0)
    many = [(float(end), 2) for end in range(0, 7200, 10)]
    assert pace(many, 7200.0, 1) == Rate(359, 718, 3600.0)


def test_nothing_is_estimated_from_nothing(store: EntryStore) -> None:
    status = look(store)
    assert replace(status, pace=Rate(0, 0, 10.0)).ends is None
    assert replace(status, remaining_macs=0).ends is None


def test_who_began_first_is_shown_first(store: EntryStore) -> None:
    held = store.claims.take(f"{architecture(9)}-seed0", device="cpu", command="c")
    assert isinstance(held, Claim)
    path = store.claims.path(f"{architecture(9)}-seed0")
    for began, order in ((1.0, [9, 5]), (4e9, [5, 9])):
        path.write_text(json.dumps({**json.loads(path.read_bytes()), "began": began}))
        assert [one.arch for one in look(store).running] == [str(architecture(number)) for number in order]


@pytest.mark.parametrize("place", ["entries", "work", "entries/1-1-1-1-seed3.json"])
def test_a_loop_of_links_is_one_line(store: EntryStore, command: Command, place: str) -> None:
    path = store.folder / place
    if path.exists():
        path.rename(store.folder / "elsewhere")
    path.symlink_to(path.name)
    code, out, err = command(f"store={store.folder}", main=status.main)
    assert (code, out, err) == (2, "", f"error: cannot read {path}: Too many levels of symbolic links\n")


def test_it_starts_without_pytorch(store: EntryStore) -> None:
    code = "import sys; from datagen import status; status.main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    call = [sys.executable, "-c", code, f"store={store.folder}"]
    done = subprocess.run(call, capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
