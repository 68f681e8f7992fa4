"""What RobustBench asks for: a network, and its `model_info`.

    from datagen.robustbench import model_info
    from datagen.training.weights import load_network

    network = load_network("theirs.pth")      # a torch.nn.Module of images in [0, 1], from anybody's file
    robustbench.benchmark(network, dataset="cifar10", threat_model="Linf", eps=8 / 255)

    # after python -m datagen.evaluate checkpoint=theirs.pth attack.autoattack=standard out=theirs.json
    model_info("theirs.json", name="...", authors="...", link="https://...", venue="ICLR 2025")

The keys are those of its files in `model_info/cifar10/Linf`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from nasbench_ar import Architecture
from nasbench_ar.errors import ResultsError

SOURCES = ("cifar10", "cifar100")
TEST_IMAGES = 10_000


def model_info(
    evaluation: str | os.PathLike[str],
    *,
    name: str,
    authors: str,
    link: str,
    venue: str,
    additional_data: bool = False,
    reported: float | None = None,
    footnote: str = "",
) -> dict[str, Any]:
    """The entry of RobustBench's leaderboard, for `json.dump`.

    Args:
        evaluation: what `datagen.evaluate` wrote to `out=`, with `attack.autoattack=standard`.
        name: title of the paper; `authors`, `link` and `venue` are its own.
        additional_data: whether training saw other images than the data set's.
        reported: robust accuracy in percent that the paper claims; None takes the one measured.
        footnote: for the table.

    Raises:
        ResultsError: for a file of something else, or an evaluation that the leaderboard does not take: of other
            images than all of a CIFAR test set, or without standard AutoAttack.
    """
    try:
        found = json.loads(Path(evaluation).read_bytes())
        test, config, network = found["test"], found["config"], found["network"]
        images, source, eps = found["dataset"]["test"]["images"], config["data.source"], config["attack.eps_255"]
        clean, doubtful = test["test_clean_acc"], any(found["sanity"].values())
    except OSError as error:
        raise ResultsError(f"cannot read {evaluation}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"{evaluation} is no evaluation; expected what python -m datagen.evaluate writes to out="
        ) from error
    if source not in SOURCES or images != TEST_IMAGES:
        raise ResultsError(
            f"{evaluation} is of {images} images of data.source={source}; RobustBench takes all {TEST_IMAGES} test "
            f"images of {' or '.join(SOURCES)}"
        )
    if "test_aa_standard_acc" not in test:
        raise ResultsError(
            f"{evaluation} has no standard AutoAttack, and AA-Compact is another number: evaluate again with "
            "attack.autoattack=standard"
        )
    robust = test["test_aa_standard_acc"]
    info = {
        "link": link,
        "name": name,
        "authors": authors,
        "additional_data": additional_data,
        "number_forward_passes": 1,
        "dataset": source,
        "venue": venue,
        "architecture": _architecture(network),
        "eps": f"{eps:g}/255",
        "clean_acc": f"{clean:.2f}",
        "reported": f"{robust if reported is None else reported:.2f}",
        "autoattack_acc": f"{robust:.2f}",
        "unreliable": doubtful,
    }
    return info | ({"footnote": footnote} if footnote else {})


def _architecture(network: dict[str, Any]) -> str:
    """As the leaderboard writes it where the literature has a name."""
    if not network["arch"]:
        return str(network["module"])
    architecture = Architecture.parse(network["arch"])
    named = architecture.name
    return named.replace("WRN", "WideResNet") if named else f"WideResNet {architecture}"
