"""Leases: who may work on what, and what becomes of those who vanish and of those who come back."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from datagen.store import claims as claims_module
from datagen.store.claims import Claim, Claims, Holder, LeaseLostError
from nasbench_ar import ResultsError, WriteError

KEY = "1-1-2-2-seed0"


def take(claims: Claims, command: str = "mine") -> Claim:
    found = claims.take(KEY, device="cpu", command=command)
    assert isinstance(found, Claim)
    return found


def age(claims: Claims, seconds: float) -> None:
    """Let a claim look as if nobody had touched it for so long."""
    then = claims.now() - seconds
    os.utime(claims.path(KEY), (then, then))


def rewrite(claims: Claims, **changes: Any) -> None:
    path = claims.path(KEY)
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **changes}))


@pytest.fixture
def claims(tmp_path: Path) -> Claims:
    return Claims(tmp_path / "claims", lease=100)


def test_one_holds_a_training_until_it_is_given_back(claims: Claims) -> None:
    with take(claims) as claim:
        other = claims.take(KEY, device="cuda", command="other")
        assert isinstance(other, Holder)
        assert (other.pid, other.device, other.command) == (os.getpid(), "cpu", "mine")
        assert f"process {os.getpid()}, on cpu since 20" in str(other)
        claim.check()
    assert claims.holder(KEY) is None
    assert not list(claims.folder.iterdir())
    with take(claims) as claim:
        assert claim.taken_over is None


def test_it_is_given_back_whatever_happens(claims: Claims) -> None:
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), take(claims):
            raise error
        assert claims.holder(KEY) is None


def test_an_expired_claim_is_taken_over_and_its_owner_notices(claims: Claims) -> None:
    with take(claims) as first:
        age(claims, 99)
        assert isinstance(claims.take(KEY, device="cpu", command="other"), Holder)
        age(claims, 101)
        second = take(claims, "other")
        assert second.taken_over is not None
        assert second.taken_over.command == "mine"
        with second:
            with pytest.raises(LeaseLostError, match=r"taken over by .*, process \d+, on cpu"):
                first.check()
            second.check()
            first.__exit__(None, None, None)
            holder = claims.holder(KEY)
            assert holder
            assert holder.command == "other", "the first gives back only what is its own"


def test_signs_of_life_keep_a_claim(tmp_path: Path) -> None:
    claims = Claims(tmp_path, lease=0.5)
    with take(claims):
        until = time.monotonic() + 1.2
        while time.monotonic() < until:
            assert isinstance(claims.take(KEY, device="cpu", command="other"), Holder)
            time.sleep(0.1)


def test_without_them_it_expires(tmp_path: Path) -> None:
    claims = Claims(tmp_path, lease=0.2)
    suspended = take(claims)  # not entered: its heart never beats
    time.sleep(0.3)
    with take(claims, "other") as claim:
        assert claim.taken_over
        assert not suspended.renew()


def test_clocks_of_machines_do_not_matter(claims: Claims, monkeypatch: pytest.MonkeyPatch) -> None:
    with take(claims):
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 86_400)
        assert isinstance(claims.take(KEY, device="cpu", command="other"), Holder)
        age(claims, 101)
        monkeypatch.setattr(time, "time", lambda: real() - 86_400)
        with take(claims, "other") as claim:
            assert claim.taken_over


def test_the_claim_of_a_dead_process_is_free_at_once_but_only_here(claims: Claims) -> None:
    take(claims)
    rewrite(claims, pid=999_999_999)
    with take(claims) as claim:
        assert claim.taken_over
        rewrite(claims, pid=999_999_999, machine="another")
        assert isinstance(claims.take(KEY, device="cpu", command="other"), Holder)
        rewrite(claims, pid=os.getpid(), machine=json.loads(claims.path(KEY).read_bytes())["machine"])


def test_a_removed_claim_comes_back(claims: Claims) -> None:
    with take(claims, "first") as first:
        claims.path(KEY).unlink()
        first.check()
        holder = claims.holder(KEY)
        assert holder
        assert holder.command == "first"
        claims.path(KEY).unlink()
        with take(claims, "second"), pytest.raises(LeaseLostError):
            first.check()


def test_a_damaged_claim_holds_until_it_expires(claims: Claims) -> None:
    claims.folder.mkdir()
    holder = {"token": "t", "host": "h", "machine": "m", "pid": 5, "started": None, "began": 1.5, "device": "d"}
    other: list[dict[str, Any]] = [{"pid": "5"}, {"pid": 2**31}, {"began": 1e300}, {"host": "a\nb"}, {"started": 0.5}]
    odd = [json.dumps(holder | {"command": "c"} | change) for change in other]
    for content in ("", "[]", "{}", '{"token": 1}', "[" * 100_000, *odd):
        claims.path(KEY).write_text(content)
        found = claims.take(KEY, device="cpu", command="mine")
        assert isinstance(found, Holder)
        assert "an unknown host" in str(found)
        age(claims, 101)
        with take(claims):
            pass


def test_of_two_who_take_over_at_once_one_notices(claims: Claims, monkeypatch: pytest.MonkeyPatch) -> None:
    take(claims, "dead")
    age(claims, 101)
    whole = claims_module.write_atomically
    rival: list[Claim] = []

    def slow(path: Path, content: bytes) -> None:
        monkeypatch.setattr(claims_module, "write_atomically", whole)
        rival.append(take(claims, "rival"))  # between the other's look and its writing
        whole(path, content)

    monkeypatch.setattr(claims_module, "write_atomically", slow)
    with take(claims, "mine") as claim:
        claim.check()
        with pytest.raises(LeaseLostError):
            rival[0].check()


@pytest.mark.parametrize("later", ["a rival's claim", "nothing"])
def test_who_takes_over_looks_whether_it_has_the_claim(
    claims: Claims, monkeypatch: pytest.MonkeyPatch, later: str
) -> None:
    take(claims, "rival")
    rivals = claims.path(KEY).read_bytes()
    age(claims, 101)
    whole = claims_module.write_atomically

    def overtaken(path: Path, content: bytes) -> None:
        whole(path, content)
        if later == "nothing":
            path.unlink()
        else:
            path.write_bytes(rivals)

    monkeypatch.setattr(claims_module, "write_atomically", overtaken)
    found = claims.take(KEY, device="cpu", command="mine")
    if later == "nothing":
        assert isinstance(found, Claim)
        assert found.renew()
    else:
        assert isinstance(found, Holder)
        assert found.command == "rival"
    holder = claims.holder(KEY)
    assert holder
    assert holder.command == ("mine" if later == "nothing" else "rival")


def test_a_claim_that_was_given_back_does_not_return(claims: Claims) -> None:
    with take(claims) as claim:
        assert claim.renew()
    assert not claim.renew(), "the heart may have been about to beat"
    assert claims.holder(KEY) is None


def test_who_was_released_in_between_may_have_a_successor(claims: Claims, monkeypatch: pytest.MonkeyPatch) -> None:
    with take(claims, "successor") as successor:
        whole, looks = Claims.holder, iter([True])

        def released(self: Claims, *rest: Any, **more: Any) -> Holder | None:
            return None if next(looks, False) else whole(self, *rest, **more)

        monkeypatch.setattr(Claims, "holder", released)
        found = claims.take(KEY, device="cpu", command="mine")
        assert isinstance(found, Holder)
        assert found.command == "successor"
        successor.check()


def test_ages_are_never_below_zero(claims: Claims) -> None:
    with take(claims):
        holder = claims.holder(KEY, now=claims.now() - 50)
        assert holder
        assert holder.age == 0


def test_a_file_that_the_server_has_removed_is_no_claim(claims: Claims, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(path: Path, mode: str) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    with take(claims):
        monkeypatch.setattr(Path, "open", stale)
        assert claims.holder(KEY) is None
        monkeypatch.undo()


def test_where_nothing_can_be_written_the_clock_is_this_machines(tmp_path: Path) -> None:
    assert Claims(tmp_path / "nowhere", lease=1).now() == pytest.approx(time.time(), abs=5)


def test_a_claim_that_cannot_be_written(claims: Claims, monkeypatch: pytest.MonkeyPatch) -> None:
    with take(claims) as claim:
        full = OSError(28, "No space left on device")
        monkeypatch.setattr(os, "utime", lambda *a: (_ for _ in ()).throw(full))
        claim.check()  # says nothing about who holds it
        monkeypatch.undo()
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(full))
    with pytest.raises(WriteError, match="No space left on device"):
        claims.take(KEY, device="cpu", command="mine")
    assert not list(claims.folder.iterdir())


def test_a_claim_that_cannot_be_read(claims: Claims) -> None:
    claims.path(KEY).mkdir(parents=True)
    with pytest.raises(ResultsError, match="cannot read .*seed0.json"):
        claims.holder(KEY)


def test_what_is_left_behind_is_swept(claims: Claims) -> None:
    for key, command, pid in (("a", "mine", 1), ("b", "mine", 999_999_999), ("c", "theirs", 999_999_999)):
        claims.take(key, device="cpu", command=command)
        path = claims.path(key)
        path.write_text(json.dumps({**json.loads(path.read_bytes()), "pid": pid, "started": None}))
    claims.sweep(command="mine")
    assert [key for key, _ in claims.holders()] == ["a", "c"], "the living, and what others may count as interrupted"
    claims.sweep(finished=lambda key: key == "c")
    assert [key for key, _ in claims.holders()] == ["a"]
