"""Verify submissions, and make the leaderboard of them.

    python -m experiments.leaderboard check [DIR...]
    python -m experiments.leaderboard build [DIR...] [out=FOLDER]

DIR is a submission of `experiments.submit`, or a folder that holds some: by default
`submissions`, where a checkout has those of docs/leaderboard.md.  `check` says of
each what is wrong with it; its exit code is 1 where one is refused.  `build` leaves out
what is refused, says why, and writes `leaderboard.md` and `leaderboard.html`.

  reruns=5                     runs of each that are carried out again: the first three, others drawn anew
  out=.                        of build: folder to write to
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.submissions.check import RERUNS, Checked, check
from experiments.submissions.entry import ENTRY, MOST_RUNS, SUBMISSIONS
from experiments.submissions.page import as_html, as_markdown_page, boards
from nasbench_ar import ConfigError, NasbenchError, ResultsError
from nasbench_ar.system.command import run_command
from nasbench_ar.system.extras import require
from nasbench_ar.system.files import make_folder, note, write_file
from nasbench_ar.system.key_values import parse_words

ACTIONS = ("check", "build")


def submissions_in(places: Sequence[str]) -> list[Path]:
    """The folders that are submissions, or hold some below them."""
    found: list[Path] = []
    for place in map(Path, places):
        here = [place] if (place / ENTRY).exists() else sorted(path.parent for path in place.rglob(ENTRY))
        if not here:
            raise ResultsError(f"{place} holds no submission: there is no {ENTRY} in it or below")
        found += here
    return list(dict.fromkeys(found))


def checked(folders: Sequence[Path], reruns: int) -> Iterator[Checked | str]:
    """Every submission that passes, and a line for every one that does not."""
    taken: dict[tuple[str, str], Path] = {}
    for folder in folders:
        try:
            found = check(folder, reruns=reruns)
            first = taken.setdefault((found.track.name, found.entry.entry), folder)
            if first != folder:
                raise ResultsError(f"{folder}: track {found.track.name} has {found.entry.entry} already, {first}")
            yield found
        except NasbenchError as error:
            yield str(error)


def main(arguments: Sequence[str]) -> int:
    require("python -m experiments.leaderboard", "pyarrow")
    places = [word for word in arguments if "=" not in word]
    if not places or places[0] not in ACTIONS:
        raise ConfigError("expected check or build, and folders of submissions; --help says more")
    action, *places = places
    places = places or [SUBMISSIONS]
    defaults: dict[str, str | int] = {"reruns": RERUNS} | ({"out": "."} if action == "build" else {})
    words = parse_words([word for word in arguments if "=" in word], defaults, {"reruns": (0, MOST_RUNS)})
    passed: list[Checked] = []
    refused: list[str] = []
    for found in checked(submissions_in(places), words["reruns"]):
        if isinstance(found, str):
            refused.append(found)
            print(f"refused: {found}")
        else:
            passed.append(found)
            again = f"not re-run: {found.not_rerun}" if found.not_rerun else f"{found.rerun} runs re-run bit for bit"
            print(f"passed: {found.folder}: {len(found.entrant.values)} runs; {again}")
    if action == "check":
        return 1 if refused else 0
    if not passed:
        raise ResultsError("no submission passes; there is nothing to rank")
    out, found_boards = Path(words["out"]), boards(passed)
    make_folder(out)
    write_file(out / "leaderboard.md", as_markdown_page(found_boards, refused).encode())
    write_file(out / "leaderboard.html", as_html(found_boards, refused).encode())
    print(f"{out}: leaderboard.md .html")
    if refused:
        note(f"{len(refused)} submissions were left out")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
