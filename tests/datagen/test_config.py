"""The command line: what it takes, and what it says when it does not."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict

import pytest

from datagen.config import KEYS, RunConfig, TrainConfig, parse_command_line, require_classes
from datagen.profiles import DIGITS_EPS_255, PROFILES
from nasbench_ar import ConfigError
from nasbench_ar.system.key_values import describe_keys


def test_cifar10_is_the_protocol_of_the_paper() -> None:
    config = parse_command_line(["archs=WRN-34-10"])
    train, attack = config.train, config.attack
    assert (train.epochs, train.batch, train.lr, train.momentum, train.weight_decay) == (100, 128, 0.1, 0.9, 5e-4)
    assert (train.lr_drops, train.lr_factor, train.clip_norm) == ([0.75, 0.9], 0.1, 5.0)
    assert (train.crop_padding, train.flip) == (4, True)
    assert (train.eps_255, train.step_255, train.steps, train.start_std_255) == (8, 2, 7, 2)
    assert (attack.eps_255, attack.step_255, attack.pgd_steps, attack.cw_steps) == (8, 0.8, 20, 40)
    assert attack.autoattack == "compact"
    assert (config.data.source, config.data.validation, config.data.corruptions) == (
        "cifar10",
        "cifar10.1",
        "CIFAR-10-C",
    )
    space = config.space
    assert (space.depth_choices, space.width_choices) == ([4, 5, 7, 9, 11], [8, 10, 12, 14, 16])
    assert (space.stages, space.unit_channels) == (3, 16)
    assert (config.device, config.seed) == ("auto", 0)


def test_profiles_change_only_what_they_name() -> None:
    digits = parse_command_line(["archs=all", "profile=digits"])
    assert digits.profile == "digits"
    assert (digits.data.source, digits.data.corruptions, digits.space.unit_channels) == ("digits", None, 1)
    assert (digits.train.eps_255, digits.attack.eps_255) == (DIGITS_EPS_255, DIGITS_EPS_255)
    assert (digits.train.lr, digits.train.steps, digits.attack.cw_steps) == (0.1, 7, 40)
    # Steps keep the protocol's ratios to the radius.
    paper = TrainConfig()
    assert digits.train.step_255 / digits.train.eps_255 == paper.step_255 / paper.eps_255
    assert digits.attack.step_255 / digits.attack.eps_255 == pytest.approx(0.8 / 8)
    arrays = parse_command_line(["archs=all", "profile=arrays", "data.file=some/images.npz"])
    assert (arrays.data.source, arrays.data.validation, arrays.train.epochs) == ("arrays", "file", 100)


def test_cifar100_changes_images_only() -> None:
    official = asdict(parse_command_line(["archs=all"]))
    other = asdict(parse_command_line(["archs=all", "profile=cifar100"]))
    changes = {"source": "cifar100", "validation": "held_out", "corruptions": None}
    assert other == {**official, "profile": "cifar100", "data": {**official["data"], **changes}}


def test_digits_729_changes_sizes_only() -> None:
    digits = asdict(parse_command_line(["archs=all", "profile=digits"]))
    small = asdict(parse_command_line(["archs=all", "profile=digits-729"]))
    assert (small["train"].pop("batch"), digits["train"].pop("batch")) == (64, 32)
    assert small.pop("space") == {
        "depth_choices": [1, 2, 3],
        "width_choices": [1, 2, 3],
        "stages": 3,
        "unit_channels": 4,
    }
    assert (small.pop("profile"), digits.pop("profile"), bool(digits.pop("space"))) == ("digits-729", "digits", True)
    assert small == digits


def test_losses_bring_the_defaults_of_their_authors() -> None:
    for loss in ("trades", "mart"):
        train = parse_command_line(["archs=all", f"train.loss={loss}"]).train
        found = [train.steps, train.beta, train.step_255 / 255, train.start_std_255 / 255, train.eps_255, train.epochs]
        assert found == pytest.approx([10, 6, 0.007, 0.001, 8, 100])
        digits = parse_command_line(["archs=all", "profile=digits", f"train.loss={loss}", "train.steps=5"]).train
        found = [digits.steps, digits.step_255, digits.start_std_255, digits.eps_255, digits.epochs]
        assert found == pytest.approx([5, 3 * 0.007 * 255, 3 * 0.001 * 255, 24, 8]), "the ratio to the radius is kept"
    assert parse_command_line(["archs=all", "train.loss=pgd_at"]) == parse_command_line(["archs=all"])


def test_everything_can_be_overridden() -> None:
    words = ["profile=digits", "train.epochs=3", "space.depth_choices=[1,2]", "data.corruptions=some/folder"]
    config = parse_command_line([*words, "store=a/b=c,d", "train.flip=true", "archs=1-100,WRN-34-10", "threads=null"])
    assert (config.train.epochs, config.space.depth_choices) == (3, [1, 2])
    assert (config.store, config.train.flip, config.threads) == ("a/b=c,d", True, None)
    assert (config.archs, config.data.corruptions) == ("1-100,WRN-34-10", "some/folder")


@pytest.mark.parametrize("text", ["a,b", "'a,b'", '"a,b"'])
def test_lists_of_architectures_need_no_quotes(text: str) -> None:
    assert parse_command_line([f"archs={text}"]).archs == "a,b"


@pytest.mark.parametrize("text", ["[a,b]", "[5 10 5 10 5 10]", "[5, 10, 5, 10, 5, 10],1"])
def test_brackets_are_text(text: str) -> None:
    assert parse_command_line([f"archs={text}"]).archs == text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "archs= is missing"),
        (["archs=all", "epochs=3"], "unknown key 'epochs'; did you mean train.epochs"),
        (["archs=all", "colour=red"], "valid keys: archs, profile, store"),
        (["archs=all", "train.colour=red"], "valid keys: .*train.epochs, train.batch"),
        (["archs=all", "profile=svhn"], "unknown profile 'svhn'; known: cifar10, cifar100, digits, digits-729, arrays"),
        (["archs=all", "train=3"], "unknown key 'train'"),
        (["archs=all", "train.epochs=0"], "train.epochs=0: expected an integer of at least 1"),
        (
            ["archs=all", "train.epochs=1000000001"],
            "train.epochs=1000000001: expected an integer of at most 1000000000",
        ),
        (["archs=all", "train.batch=1"], "train.batch=1: expected an integer of at least 2"),
        (["archs=all", "seed=-1"], "seed=-1: expected"),
        (["archs=all", "batch=0"], "batch=0: expected"),
        (["archs=all", "threads=0"], "threads=0: expected null or at least 1"),
        (["archs=all", "train.lr=0"], "train.lr=0.0: expected more than 0"),
        (["archs=all", "train.momentum=-1"], "train.momentum=-1.0: expected 0 or more"),
        (["archs=all", "train.momentum=1"], "train.momentum=1.0: expected 0 or more and below 1"),
        (["archs=all", "attack.eps_255=-8"], "attack.eps_255=-8.0: expected more than 0"),
        (["archs=all", "train.lr_drops=[0.9,0.75]"], "train.lr_drops=.*: expected ascending shares"),
        (["archs=all", "train.lr_drops=[75,90]"], "train.lr_drops=.*: expected ascending shares"),
        (
            ["archs=all", "train.epochs=8", "train.lr_drops=[0.75,0.8]"],
            r"train.lr_drops=.*: expected falls at different epochs .* before the end \(8\); these are at \[6, 6\]",
        ),
        (["archs=all", "train.epochs=8", "train.lr_drops=[0.05]"], r"these are at \[0\]"),
        (["archs=all", "train.epochs=8", "train.lr_drops=[0.5,0.95]"], r"these are at \[4, 8\]"),
        (["archs=all", "train.epochs=1", "train.lr_drops=[0.5]"], r"these are at \[1\]"),
        (["archs=all", "train.loss=awp"], "train.loss=awp: expected one of pgd_at, trades, mart"),
        (["archs=all", "train.beta=6"], "train.beta=6.0: expected 0, since loss pgd_at has no second term"),
        (["archs=all", "train.loss=trades", "train.beta=0"], "train.beta=0.0: expected more than 0 with loss trades"),
        (["archs=all", "train.loss=mart", "train.steps=0"], "train.steps=0: expected at least 1 with loss mart"),
        (["archs=all", "train.ema=1"], "train.ema=1.0: expected 0 for none, or a number below 1, such as 0.999"),
        (["archs=all", "train.schedule=linear"], "train.schedule=linear: expected one of drops, cosine"),
        (
            ["archs=all", "train.schedule=cosine", "train.lr_drops=[0.5]"],
            "train.lr_drops=.*: expected no value, since train.schedule=cosine has no drops",
        ),
        (["archs=all", "train.precision=fp8"], "train.precision=fp8: expected one of auto, bf16, tf32, float32, fp16"),
        (["archs=all", "attack.precision=fp16"], "attack.precision=fp16: expected one of auto, bf16, tf32, float32"),
        (["archs=all", "attack.autoattack=full"], "attack.autoattack=full: expected one of none, compact, standard"),
        (
            ["archs=all", "data.validation=test"],
            "the source cifar10 has cifar10.1 or held_out only",
        ),
        (["archs=all", "data.source=mnist"], "data.source=mnist: expected one of cifar10, cifar100, digits, arrays"),
        (["archs=all", "profile=arrays"], "data.file= is missing: profile=arrays needs an .npz with train_images"),
        (["archs=all", "profile=choice(digits,cifar10)"], "unknown profile"),
        (["archs=all", f"train.epochs={'9' * 5000}"], "^.{1,500}$"),
        (["archs=all", f"profile<{'9' * 5000}"], "^.{1,500}$"),
        (["archs=all", "lease=inf"], "lease=inf: expected a finite number"),
        (["archs=all", "train.lr=nan"], "train.lr=nan: expected a finite number"),
    ],
)
def test_wrong_words(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_command_line(words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("words", [["train.epochs=1"], ["train.epochs=3", "train.lr_drops=[0.4,0.7]"]])
def test_default_drops_take_any_epochs_and_given_ones_those_that_fit(words: list[str]) -> None:
    assert parse_command_line(["archs=all", *words]).train.epochs in (1, 3)


def test_padding_is_no_larger_than_the_images() -> None:
    config = parse_command_line(["archs=all", "train.crop_padding=8"])
    config.check_images(train=200, side=8, classes=4)
    with pytest.raises(ConfigError, match=r"train.crop_padding=8: the images are 7 pixels wide; use at most 7$"):
        config.check_images(train=200, side=7, classes=4)


def test_help_names_every_key_with_its_default() -> None:
    text = describe_keys(RunConfig())
    for key in KEYS:
        assert f"  {key}=" in text
    assert "train.clip_norm=5.0 " in text
    assert "data.corruptions=CIFAR-10-C " in text


def test_config_is_plain_data() -> None:
    assert asdict(RunConfig(archs="all"))["train"]["epochs"] == 100
    assert set(PROFILES) == {"cifar10", "cifar100", "digits", "digits-729", "arrays"}


def test_a_wrong_word_is_reported_without_loading_torch() -> None:
    code = "import sys\nfrom datagen.config import parse_command_line\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("classes", [2, 3])
def test_too_few_classes(classes: int) -> None:
    with pytest.raises(ConfigError, match=f"at least 4 classes and the data has {classes}; use attack.autoattack=none"):
        require_classes(classes, "compact")
    require_classes(classes, "none")
    require_classes(4, "standard")
