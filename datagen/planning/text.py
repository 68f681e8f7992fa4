"""The report of `datagen.plan` for people."""

from __future__ import annotations

from typing import Any


def render(found: dict[str, Any]) -> str:
    """Lines of text from what `plan.report` found."""
    seeds = ", ".join(map(str, found["seeds"]))
    done = f", {found['done']:,} of them done" if found["done"] else ""
    title = f"{found['of']}: {found['trainings']:,} trainings, seed{'s' * (len(found['seeds']) > 1)} {seeds}{done}"
    return "\n".join([title, *_work(found), *_memory(found["memory"]), *_schedule(found.get("schedule"))])


def _work(found: dict[str, Any]) -> list[str]:
    cost, passes = found["estimate"], found["image_passes"]
    days = {key: cost[f"{key}_gpu_days"] for key in ("training", "evaluation")}
    millions = {key: amount(count / 1e6) for key, count in passes.items()}
    parts = ", ".join(f"{key} {gpu_time(value)}" for key, value in days.items())
    lines = [
        f"work       {found['macs']:.3g} MACs; a training takes {millions['training']} million image passes in "
        f"{found['epochs']} epochs, its test {millions['evaluation']} million",
        f"estimate   {gpu_time(sum(days.values()))}: {parts}",
    ]
    if each := cost.get("gpu_days_each"):
        shortest, middle, longest = (gpu_time(each[key]) for key in ("min", "median", "max"))
        lines.append(f"           one training: {shortest} to {longest}, median {middle}")
    lines.append(f"           from {cost['basis']}")
    if cost["training_error"] is not None:
        errors = f"{100 * cost['training_error']:.0f} % in training, {100 * cost['evaluation_error']:.0f} % in the test"
        lines.append(f"           root mean square error of the fit: {errors}")
    return lines


def _memory(memory: dict[str, Any]) -> list[str]:
    lines = [
        f"memory     {_gigabytes(memory['bytes'])}, in evaluation batches of {memory['evaluation_batch']}; "
        f"training alone {_gigabytes(memory['training_bytes'])}",
        f"           an estimate; {memory['assumed_bytes'] / 1e9:.1f} GB of it are assumed, not measured",
    ]
    for size, counts in memory["cards_gb"].items():
        lines.append(
            f"           {size} GB card: {counts['fit']:,} of {memory['architectures']:,} fit, "
            f"{counts['training_fits']:,} with smaller evaluation batches; "
            f"{counts['could_share']:,} leave room for another"
        )
    if ratios := memory.get("measured_over_estimated"):
        share = f"{ratios['min']:.2f} to {ratios['max']:.2f}, median {ratios['median']:.2f}"
        lines.append(f"           measured peaks over estimates without the assumed part: {share}")
    return lines


def _gigabytes(spread: dict[str, float]) -> str:
    return f"{amount(spread['min'] / 1e9)} to {amount(spread['max'] / 1e9)} GB, median {amount(spread['median'] / 1e9)}"


def _schedule(schedule: dict[str, Any] | None) -> list[str]:
    if schedule is None:
        return ["schedule   nothing is left to do"]
    plain = schedule["undisturbed"]
    gpus = f"{schedule['gpus']:,} GPU{'s' * (schedule['gpus'] > 1)}"
    tail = gpu_time(plain["tail_gpu_days"])
    lines = [f"schedule   {wall_time(plain['wall_days'])} on {gpus}, longest first; idle at the end {tail}"]
    if preempted := schedule.get("preempted"):
        wall = {key: wall_time(preempted["wall_days"][key]) for key in ("mean", "std", "min", "max")}
        mean = {
            key: gpu_time(preempted[f"{key}_gpu_days"]["mean"]) for key in ("lost", "lost_in_tests", "restart", "tail")
        }
        lines += [
            f"           {wall['mean']} ± {wall['std']} ({wall['min']} to {wall['max']}) with "
            f"{preempted['preemptions_per_day']:g} preemptions a day and GPU, {preempted['restart_minutes']:g} minutes "
            f"to restart; {preempted['repetitions']} simulations",
            f"           lost work {mean['lost']} ({preempted['lost_percent']['mean']:.2f} %), of it in tests "
            f"{mean['lost_in_tests']}; restarts {mean['restart']}; idle at the end {mean['tail']}; "
            f"{amount(preempted['preemptions']['mean'])} preemptions",
        ]
    return lines


def amount(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.3g}"


def wall_time(days: float, prefix: str = "") -> str:
    for unit, per_day in (("days", 1), ("hours", 24), ("minutes", 1440)):
        if days * per_day >= 1:
            return f"{amount(days * per_day)} {prefix}{unit}"
    return f"{amount(days * 86_400)} {prefix}seconds"


def gpu_time(days: float) -> str:
    return wall_time(days, "GPU-")
