"""Queue names that people type, and that a shipper may trip over."""

from __future__ import annotations

import json

from .tools import parse

NAMES = [
    "Réclamations — Zürich",
    "サポート 東京",
    "دعم العملاء",
    "Billing 💶 👩🏽‍💻",
    'Ventas "VIP"/España',
    r"C:\queues\new",
    "Tab\tand\nnewline\rand \x1b[31mred",
    "NUL\x00 is legal in JSON",
    "%msg% $(id) ${HOME} {{name}} <script>",
    '{"waiting":99,"agents_available":99}',
    "nbsp\xa0line\u2028separator\ufeffbom",
    "x" * 2000,
    "",
]


def with_hostile_names(lines: list[bytes]) -> list[bytes]:
    """Return `lines` with one of `NAMES` wherever a queue is named, written as the daemon writes it."""
    renamed = []
    for line in lines:
        fact = parse(line)
        if "queue_name" in fact:
            fact["queue_name"] = NAMES[len(renamed) % len(NAMES)]
        renamed.append(json.dumps(fact, ensure_ascii=False, separators=(",", ":")).encode())
    return renamed
