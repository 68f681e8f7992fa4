"""The digest of what decides a run's result, and what two of them differ in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from nasbench_ar.errors import shown


def mark_of(fingerprint: Mapping[str, Any]) -> str:
    """Hex SHA-256 of a fingerprint; equal ones have equal digests, 1 and 1.0 for instance."""
    return hashlib.sha256(json.dumps(_canonical(fingerprint)).encode()).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _canonical(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return ["number", hex(int(value))]  # which has no limit on its digits
    return ["other", repr(value)]


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    old, new = _flat(old), _flat(new)
    changed = [
        f"{' '.join(str(key).split())[:60]} was {shown(old.get(key))}, is {shown(new.get(key))}"
        for key in [*new, *(key for key in old if key not in new)]
        if old.get(key) != new.get(key)
    ]
    return "; ".join(changed[:8]) + (f"; and {len(changed) - 8} more" if len(changed) > 8 else "")


def _flat(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """`{"searcher": {"steps": 5}}` as `{"searcher.steps": 5}`, so that only what differs is named."""
    out: dict[str, Any] = {}
    for key, value in fingerprint.items():
        out |= {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
    return out
