"""Damaged files of a Dask scheduler, which tell where it listens."""

import json

import pytest

from nasbench_ar import EngineError
from nasbench_ar.system.dask_engine import _address_in
from tests.fuzzing import Damages, Files, Reader, byte_damage, document_damage, to_json

BYTES = Reader("engine: a scheduler's file, bytes", EngineError)
VALUES = Reader("engine: a scheduler's file, values", EngineError)
FILE = "scheduler.json"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("fuzz")
    whole = {"type": "Scheduler", "id": "Scheduler-5", "address": "tcp://10.0.0.1:8786", "services": {}, "workers": {}}
    (folder / FILE).write_text(json.dumps(whole, indent=2))
    return Files(folder, FILE)


def is_address(address: str) -> None:
    assert "://" in address
    assert len(address.splitlines()) == 1


@BYTES.fuzz(change=byte_damage())
def test_any_bytes_of_a_schedulers_file(files: Files, change: Damages) -> None:
    files.write({FILE: change(files[FILE])})
    BYTES.check(lambda: _address_in(str(files.folder / FILE)), is_address, names=files.folder)


@VALUES.fuzz(change=document_damage())
def test_any_values_of_a_schedulers_file(files: Files, change: Damages) -> None:
    files.write({FILE: to_json(change(json.loads(files[FILE])))})
    VALUES.check(lambda: _address_in(str(files.folder / FILE)), is_address, names=files.folder)
