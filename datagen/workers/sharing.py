"""Which training runs on which GPU: a ledger of the memory that each has reserved.

Without share=true a training takes a whole card, and is refused where another is at work;
with device=all it takes one that is free.  With share=true it takes what it needs.

The ledger of a card is a file in the machine's temporary folder,
`nasbench-ar-<user>/<card>.json`.  That folder must belong to the user and be closed to
others, who could put links and files under a guessed name.  (A folder of the login session,
XDG_RUNTIME_DIR, would vanish when the user logs out.)  Processes change the ledger under a
lock (`flock`, which the system releases when a process dies), and drop tickets of dead
processes.  A training that does not fit waits in the order of arrival, so that small
trainings cannot overtake a large one for ever.

A process reserves before it touches the card.  Its CUDA context stays there until it ends,
so that after a training the process keeps an idle ticket of the assumed overhead, which its
next training takes over.  The first in the queue goes in when only idle tickets are in its
way: otherwise processes that wait could keep each other out for ever.

A training that needs more than the whole card waits until it has the card alone and then
tries, since estimates err.  The ledger knows only the trainings of one user on one machine.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datagen.planning.memory import GRAPHS, MemorySettings, estimate_memory, gigabytes
from nasbench_ar.errors import ConfigError, ResultsError, one_line
from nasbench_ar.system import checked_json as checked
from nasbench_ar.system.files import write_atomically
from nasbench_ar.system.process import Process, boot

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import torch

    from datagen.training.pipeline import Generator
    from nasbench_ar import Architecture

POLL_SECONDS = 2.0


@dataclass
class Ticket:
    """One training that holds `bytes` of a card, or waits for them; idle: a process without one holds its context."""

    token: str
    owner: Process
    bytes: int
    held: bool = False
    idle: bool = False


@dataclass(frozen=True)
class Card:
    """A GPU: a name that is the same in all processes, its bytes, and what this process calls it."""

    name: str
    bytes: int
    device: torch.device

    def __str__(self) -> str:
        return f"{self.device} ({self.name})"


@contextmanager
def hold_device(
    generator: Generator, architecture: Architecture, say: Callable[[str], None], check: Callable[[], None]
) -> Iterator[torch.device]:
    """The device for a training: a GPU that nobody else trains on or, with share=true, that has room for it."""
    cards = cards_of(generator.devices)
    if not cards:
        yield generator.device
        return
    from datagen.hardware import release_memory

    share, overhead = generator.config.share, gigabytes(generator.config.overhead_gb)
    need = needed_bytes(generator, architecture) if share else None
    with reserve(cards, need, say, context_bytes=overhead, check=check) as card, as_current(card.device):
        yield card.device
        release_memory()


@contextmanager
def as_current(device: torch.device) -> Iterator[None]:
    """Let what names no GPU use this one, and not the first."""
    if device.type != "cuda":
        yield
        return
    import torch

    with torch.cuda.device(device):
        yield


def needed_bytes(generator: Generator, architecture: Architecture) -> int:
    config, dataset, protocol = generator.config, generator.dataset, generator.protocol
    settings = MemorySettings(
        train_batch=config.train.batch,
        train_graphs=GRAPHS[config.train.loss],
        averaged=config.train.ema > 0,
        evaluation_batch=min(config.batch, max(len(dataset.val), len(dataset.test))),
        train_precision=protocol["train"]["precision"],
        test_precision=protocol["attack"]["precision"],
        images=len(dataset.train) + len(dataset.val) + len(dataset.test),
        test_images=len(dataset.test),
        overhead=gigabytes(config.overhead_gb),
    )
    space = generator.space
    return int(estimate_memory(space, space.indices([architecture]), settings).total[0])


@contextmanager
def reserve(
    cards: Sequence[Card],
    need_bytes: int | None,
    say: Callable[[str], None],
    *,
    context_bytes: int = 0,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Card]:
    """Wait for a part of one of the cards and hold it, or for None take a whole one that no training is on.

    `context_bytes` of it stay with this process until it ends.  `check` is called while waiting
    and may raise.
    """
    if fcntl is None:
        if len(cards) > 1:
            raise ConfigError("device=all: this system has no file locks (flock); start a command for each GPU instead")
        if need_bytes is not None:
            say("this system has no file locks (flock), so that share=true has no effect")
        yield cards[0]
        return
    owner = Process.this()
    with ExitStack() as locks:
        names = {card.name: card for card in cards}  # always in the same order, so that no two processes lock crosswise
        ledgers = {names[name]: locks.enter_context(_locked(ledger_path(name))) for name in sorted(names)}
        card = _choose(cards, ledgers, owner, alone=need_bytes is None)
        tickets = ledgers[card]
        ahead = sum(not other.idle for other in tickets)
        ticket = Ticket(uuid.uuid4().hex, owner, card.bytes if need_bytes is None else min(need_bytes, card.bytes))
        tickets.append(ticket)
        _admit(tickets, card.bytes)
        held = ticket.held
    path = ledger_path(card.name)
    try:
        if need_bytes is not None and need_bytes > card.bytes:
            say(f"needs about {_gb(need_bytes)} of {_gb(card.bytes)} on {card}; it is tried alone there")
        if not held:
            say(f"waits for {_gb(ticket.bytes)} on {card}, behind {ahead} others, by the account in {path}")
        while not held:
            check()
            time.sleep(POLL_SECONDS)
            with _locked(path) as tickets:
                if all(other.token != ticket.token for other in tickets):  # somebody has removed the account
                    tickets.append(ticket)
                _admit(tickets, card.bytes)
                held = any(other.held for other in tickets if other.token == ticket.token)
        yield card
    finally:
        with _locked(path) as tickets:
            tickets[:] = [other for other in tickets if other.token != ticket.token]
            if held and context_bytes:
                tickets.insert(0, Ticket(ticket.token, owner, context_bytes, held=True, idle=True))


def _choose(cards: Sequence[Card], ledgers: dict[Card, list[Ticket]], owner: Process, *, alone: bool) -> Card:
    """A process stays on the card that has its context; a new one takes the card with most room."""
    mine = [card for card in cards if any(other.idle and other.owner == owner for other in ledgers[card])]
    if not alone:
        return mine[0] if mine else max(cards, key=lambda card: card.bytes - sum(one.bytes for one in ledgers[card]))
    for card in (*mine, *cards):
        if all(other.idle for other in ledgers[card]):
            return card
    busy = f"all {len(cards)} GPUs have" if len(cards) > 1 else f"{cards[0]} has"
    raise ConfigError(
        f"{busy} a training of yours already, and another would slow it down or run out of memory: use another device, "
        "or share=true in every command, which begins a training when the GPU's memory has room for it (the account of "
        f"the GPU is {ledger_path(cards[0].name)})"
    )


def _admit(tickets: list[Ticket], capacity: int) -> None:
    """First come, first served: small trainings must not starve a large one."""
    for ticket in list(tickets):
        if not ticket.held:
            own = [other for other in tickets if other.idle and other.owner == ticket.owner]
            others = [other for other in tickets if other.held and other not in own]
            if ticket.bytes + sum(other.bytes for other in others) > capacity and not all(o.idle for o in others):
                return
            ticket.held = True
            tickets[:] = [other for other in tickets if other not in own]


def ledger_path(card: str) -> Path:
    """Of this boot: nobody can tell whether processes of an earlier one are alive."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    name = "-".join([re.sub(r"[^A-Za-z0-9.-]", "_", card), *boot()[:8].split()])
    return Path(tempfile.gettempdir()) / f"nasbench-ar-{user}" / f"{name}.json"


@contextmanager
def _locked(path: Path) -> Iterator[list[Ticket]]:
    """The tickets of living processes; no other process sees or changes them meanwhile."""
    try:
        _make_private(path.parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        with open(os.open(path.with_suffix(".lock"), flags, 0o600), "r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            tickets = [ticket for ticket in _read(path) if not ticket.owner.surely_dead()]
            yield tickets
            write_atomically(path, json.dumps([asdict(ticket) for ticket in tickets], indent=1).encode() + b"\n")
    except OSError as error:
        if isinstance(error, ResultsError):
            raise
        raise ResultsError(f"cannot keep account of the GPU in {path}: {error.strerror or error}") from error


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()  # of a link itself
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ResultsError(
            f"{folder} is not a folder of yours alone, as the account of the GPU needs: remove it, or set TMPDIR to "
            "another folder for all your commands"
        )


def _read(path: Path) -> list[Ticket]:
    try:
        return [_ticket(one) for one in json.loads(path.read_bytes())]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        remedy = "remove it when no training runs on this machine"
        raise ResultsError(f"{path} is damaged ({one_line(error)}); {remedy}") from error


def _ticket(content: Any) -> Ticket:
    return Ticket(
        token=checked.line(content["token"]),
        owner=checked.process(content["owner"]),
        bytes=checked.count(content["bytes"]),
        held=checked.truth(content["held"]),
        idle=checked.truth(content["idle"]),
    )


def cards_of(devices: Sequence[torch.device]) -> list[Card]:
    """The GPUs among devices; asking for them takes no memory there."""
    import torch

    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    cards = []
    for device in devices:
        if device.type == "cuda":
            facts = torch.cuda.get_device_properties(device)
            index = torch.cuda.current_device() if device.index is None else device.index
            name = visible[index] if index < len(visible) else str(index)
            if not name.startswith("MIG-"):  # parts of a card may share its identity
                name = str(getattr(facts, "uuid", None) or name)
            cards.append(Card(f"cuda-{name}", int(facts.total_memory), device))
    return cards


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
