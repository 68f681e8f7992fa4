"""Images a second of adversarial training, against a plain loop and against the hardware's own rate.

    python -m benchmarks.datagen [--device auto] [--steps 8] [--repeats 3] [--compile] [--channels-last]

On CUDA the network is WRN-34-10; on a processor it is the same with one channel where
that has 16.  Random 32x32 images stand for CIFAR-10.  Measured in one run:

- the rate of a large matrix product in the precision of the training;
- `datagen.training.train` itself: the loop as it is used, its first epoch left out;
- a plain loop: the protocol as it reads, NCHW, looking at the loss after every step; on CUDA
  under float16 autocast with a gradient scaler, as the authors train, else in float32;
- one step of PGD on more and more images at once, to choose the evaluation's batch.

Operations of one training image: each of the 7 attack steps is a forward pass and a
backward pass to the input, the training step has a backward pass to the weights too;
hence 7 * 2 + 3 = 17 forward passes of 2 operations for each MAC.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.environment import command_line, describe
from datagen.attack.attacks import pgd
from datagen.config import RunConfig, TrainConfig
from datagen.device_checks import Setup, noise_images, run_training
from datagen.hardware import choose_device, choose_precision, device_name
from datagen.images.augment import crop_and_flip
from datagen.network.classifier import Classifier, float32_rule
from datagen.network.model import as_unit_floats, build_network
from datagen.out_of_memory import is_out_of_memory
from datagen.seeds import generator
from datagen.speed import matmul_rate, seconds, synchronise
from datagen.training.log import FILE
from datagen.training.train import build_optimiser
from nasbench_ar import SearchSpace

ARCHITECTURE = "5-10-5-10-5-10"
PASSES = 17
WIDEST = {"cuda": 2048, "cpu": 256}


def our_rates(space: SearchSpace, args: argparse.Namespace, device: torch.device, precision: str) -> list[float]:
    """Images a second of `datagen.training.train`, one number an epoch after the first."""
    config = RunConfig(train=TrainConfig(precision=precision), channels_last=args.channels_last or None)
    setup = Setup(config, space, space.parse(ARCHITECTURE), device, precision, args.compile)
    shape = {"epochs": args.repeats + 1, "batch": args.batch, "images": args.steps * args.batch}
    with tempfile.TemporaryDirectory() as folder:
        run_training(setup, setup.classifier(), Path(folder), **shape)
        lines = (Path(folder) / FILE).read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["images_a_second"] for line in lines[1:]]


def plain_rates(space: SearchSpace, args: argparse.Namespace, device: torch.device) -> list[float]:
    """Images a second of the protocol written down as it reads, on CUDA in mixed precision as the authors run it."""
    mixed = device.type == "cuda"
    half, scaler = torch.autocast(device.type, torch.float16, enabled=mixed), torch.amp.GradScaler(enabled=mixed)
    plan = TrainConfig(batch=args.batch)
    network = build_network(space, ARCHITECTURE, seed=0).to(device)
    optimiser = build_optimiser(network, plan, torch.device("cpu"))  # not fused
    split, random = noise_images(args.steps * args.batch, 32, 0).to(device), generator(0, "plain", device=device)
    eps, step = plan.eps_255 / 255, plan.step_255 / 255
    rates = []
    for _ in range(args.repeats + 1):
        synchronise(device)
        began = time.perf_counter()
        for index in torch.randperm(len(split), generator=random, device=device).split(args.batch):  # type: ignore[no-untyped-call]
            labels = split.labels[index]
            images = as_unit_floats(crop_and_flip(split.images[index], random, padding=4, flip=True))
            network.eval().requires_grad_(False)
            found = images + plan.start_std_255 / 255 * torch.randn(images.shape, generator=random, device=device)
            for _ in range(plan.steps):
                found.requires_grad_()
                with half:
                    loss = F.cross_entropy(network(found), labels)
                (gradient,) = torch.autograd.grad(scaler.scale(loss), found)
                found = found.detach() + step * gradient.sign()
                found = (images + (found - images).clamp(-eps, eps)).clamp(0, 1)
            network.train().requires_grad_(True)
            optimiser.zero_grad()
            with half:
                loss = F.cross_entropy(network(found), labels)
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            scaler.unscale_(optimiser)
            nn.utils.clip_grad_norm_(network.parameters(), plan.clip_norm)
            scaler.step(optimiser)
            scaler.update()
            loss.item()
        synchronise(device)
        rates.append(len(split) / (time.perf_counter() - began))
    return rates[1:]


def attack_rates(space: SearchSpace, device: torch.device, precision: str) -> dict[int, float]:
    """Images at once -> images a second of one step of PGD; stops where memory does."""
    network = build_network(space, ARCHITECTURE, seed=0).to(device)
    classifier = Classifier(network, precision=precision, channels_last=device.type == "cuda")
    attack = pgd(eps=8 / 255, step=0.8 / 255, steps=2)
    rates: dict[int, float] = {}
    size = 32
    while size <= WIDEST[device.type]:
        split = noise_images(size, 32, 0).to(device)
        images, noise = as_unit_floats(split.images), torch.zeros(1, device=device)
        try:
            with float32_rule(precision):
                attack.perturb(classifier, images, split.labels, noise)
                best = min(
                    seconds(lambda i=images, y=split.labels, z=noise: attack.perturb(classifier, i, y, z), device)  # type: ignore[misc]
                    for _ in range(3)
                )
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            break
        rates[size] = 2 * size / best
        size *= 2
    return rates


def shown(rates: list[float]) -> str:
    """Median, least and most."""
    return f"{statistics.median(rates):9.1f} ({min(rates):.1f} to {max(rates):.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, help="steps an epoch (default: 50 on CUDA, 4 on a processor)")
    parser.add_argument("--repeats", type=int, default=3, help="epochs measured, after one that is not")
    parser.add_argument("--threads", type=int, help="processor threads (default: PyTorch's choice)")
    parser.add_argument("--compile", action="store_true", help="train through torch.compile")
    parser.add_argument("--channels-last", action="store_true", help="that memory layout on a processor too")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    device = choose_device(args.device)
    args.steps = args.steps or (50 if device.type == "cuda" else 4)
    space = SearchSpace(unit_channels=16 if device.type == "cuda" else 1)
    precision = choose_precision("auto", device, automatic="bf16")
    test_precision = choose_precision("auto", device, automatic="tf32")
    print(command_line("benchmarks.datagen"))
    print(describe("torch"))
    print(f"device: {device_name(device)}, {torch.get_num_threads()} threads, training in {precision}")
    print(f"network: {ARCHITECTURE} with {space.unit_channels} channels at width 1, {space.macs(ARCHITECTURE):,} MACs")
    print(f"batch {args.batch}, {args.steps} steps an epoch, compile {str(args.compile).lower()}")
    layout = "channels-last" if device.type == "cuda" or args.channels_last else "NCHW"
    print(f"layout: {layout}")
    print("median of the epochs (least to most)\n")
    rate = matmul_rate(device, precision)
    ours = our_rates(space, args, device, precision)
    plain = plain_rates(space, args, device)
    operations = 2 * PASSES * space.macs(ARCHITECTURE) * statistics.median(ours)
    print(f"matrix product           {rate / 1e12:9.3f} TFLOP/s")
    print(f"datagen.training.train            {shown(ours)} images/s")
    print(f"  of the matrix product  {100 * operations / rate:9.1f} %  ({operations / 1e12:.3f} TFLOP/s)")
    print(f"plain {'float16' if device.type == 'cuda' else 'float32'} loop       {shown(plain)} images/s")
    print(f"  ratio                  {statistics.median(ours) / statistics.median(plain):9.2f}\n")
    print(f"one PGD step in {test_precision}, by images at once")
    for size, found in attack_rates(space, device, test_precision).items():
        print(f"  {size:5d}                  {found:9.1f} images/s")


if __name__ == "__main__":
    main()
