"""The files of tracks."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.races.config import parse_command_line
from experiments.races.race import plan
from experiments.races.track import load_track, tracks
from experiments.results.track import judge_of
from nasbench_ar import NARES, ConfigError, load
from tests.processes import ROOT


@pytest.mark.parametrize("name", tracks())
def test_every_track_can_be_raced(name: str) -> None:
    track = load_track(name)
    assert track.about.endswith(".")
    oracle = load(track.table, quiet=True)
    judge_of(track, oracle)
    for searcher in track.searchers_in(oracle.space):
        race = plan(parse_command_line([f"searcher={searcher}"], track.front, **track.settings), oracle)
        assert race.objective == (track.objective or oracle.table.default_objective)
        if not track.fidelity:
            assert (race.queries, race.constraints, race.noise) == (
                track.queries,
                (track.constraint.replace("e9", "000000000").replace("e6", "000000"),) if track.constraint else (),
                track.noise,
            )


def test_the_tracks_of_the_toolkit() -> None:
    assert tracks() == ["fidelity", "macs-10g", "macs-15g", "macs-7g", "noisy", "params-60m", "pareto", "table2"]
    assert load_track("macs-10g").searchers_in(NARES)[-1] == "largest", "what needs no search takes part"
    documented = (ROOT / "docs/tracks.md").read_text()
    assert all(f"`{name}`" in documented for name in tracks())


def test_a_file_of_ones_own_is_a_track(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("about: Mine.\ntable: digits-729\nqueries: 30\njudge: test_aa_acc\n")
    track = load_track(str(path))
    assert (track.name, track.queries, track.judge) == ("mine", 30, "test_aa_acc")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", "expected lines of key: value"),
        ("a: [", "while parsing a flow node"),
        ("table: x\n", "about is missing"),
        ("about: x\n", "table is missing"),
        ("about: x\ntable: 3\n", "table=3: expected text"),
        ("about: x\ntable: y\nqueries: five\n", "queries='five': expected a whole number"),
        ("about: x\ntable: y\nqueires: 5\n", "unknown key 'queires'; did you mean queries?"),
        ("about: x\ntable: y\nname: z\n", "unknown key 'name'"),
        ("about: x\ntable: y\nfidelity: true\nqueries: 20\n", "queries is not for learning curves"),
        (f"about: x\ntable: y\nfidelity: true\nbudget: {'9' * 400}\n", "int too large to convert to float"),
        ("about: x\ntable: y\nbudget: 20\n", "budget is not for this kind of track"),
        ("about: x\ntable: y\nrecommend: model\nqueries: 9\n", "a model needs 10 scores, and queries: 9"),
        (
            "about: x\ntable: y\nobjective: val_pgd_acc,macs\n",
            "judge: objective: hypervolume judges several objectives",
        ),
        ("about: x\ntable: y\njudge: hypervolume\n", "judge: hypervolume: hypervolume judges several objectives"),
        ("about: x\ntable: y\nrecommend: guess\n", "recommend: guess: expected one of observed, model, space"),
        (
            "about: x\ntable: y\nobjective: val_pgd_acc,macs\njudge: hypervolume\nrecommend: model\n",
            "recommend is not for this kind of track",
        ),
        ("about: x\ntable: y\nnoise: query\n", "noise: query: expected none or run"),
        (
            "about: x\ntable: y\nnoise: run\nimages: 10000001\n",
            "images=10000001: expected an integer from 1 to 10000000",
        ),
        (
            "about: x\ntable: y\nimages: 5\n",
            "images=5: expected an integer from 1 to 10000000, together with noise=run",
        ),
        ("about: x\ntable: y\nqueries: 5\nqueries: 9\n", "'queries' is there twice, in lines 3 and 4; keep one"),
        *(
            (f"about: x\ntable: y\nqueries: {number}\n", f"'{number}' in line 3: expected a decimal number without")
            for number in ("010", "-007", "0x1F", "0b11", "1:30")
        ),
        ("{about: x, table: y, table: z}", "'table' is there twice, in lines 1 and 1; keep one"),
        ("about: x\ntable: y\nconstraint: macs<10e9\n", "constraint='macs<10e9': expected metric<=number"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="track mine: ") as caught:
        load_track(str(path))
    assert said in str(caught.value)


def test_a_track_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such track; fidelity, macs-10g"):
        load_track("macs-11g")
    with pytest.raises(ConfigError, match="cannot read track"):
        load_track(str(tmp_path / "mine.yaml"))
    (tmp_path / "bad.yaml").write_bytes(b"about: \xff")
    with pytest.raises(ConfigError, match="cannot read track"):
        load_track(str(tmp_path / "bad.yaml"))
