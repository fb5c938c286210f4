"""Names and ids of queues, as a company in eleven countries would have them."""
# ruff: noqa: RUF001 - names in the scripts of their languages

import random
import uuid
from collections.abc import Container
from dataclasses import dataclass

MAX_QUEUES = 5000
"""Queues one organization may have (docs/dev/api-facts.md, section 4)."""


@dataclass(frozen=True, slots=True)
class Division:
    """A Genesys Cloud division: who may see the queue, and here also where its people are."""

    id: str
    name: str
    utc_offset: int
    """Hours east of UTC: decides when the queue is busy."""
    region: str
    """How a queue of this division names its region; `{topic}` stands for the subject."""
    topics: tuple[str, ...]


# (name, UTC offset, pattern of a queue's name, subjects in the language of the place)
_PLACES = (
    ("Home", 0, "{topic} EMEA", ("Support", "Sales", "Billing", "Retention", "Claims", "Technical Support")),
    (
        "France",
        1,
        "{topic} – France",
        ("Support", "Ventes", "Facturation", "Fidélisation", "Réclamations", "Accueil"),
    ),
    ("Québec", -5, "{topic} – Québec", ("Ventes", "Soutien", "Facturation", "Réclamations", "Rétention")),
    ("DACH", 1, "{topic} DACH", ("Kundendienst", "Vertrieb", "Rechnungen", "Kündigungen", "Störungen")),
    ("日本", 9, "{topic}", ("サポート", "営業", "請求", "解約", "技術サポート", "受付")),
    ("Brasil", -3, "{topic} Brasil", ("Suporte", "Vendas", "Cobrança", "Retenção", "Reclamações")),
    ("Iberia", 1, "{topic} España", ("Atención al cliente", "Ventas", "Facturación", "Averías", "Bajas")),
    ("Polska", 1, "{topic} Polska", ("Obsługa klienta", "Sprzedaż", "Płatności", "Reklamacje")),
    ("Nordics", 1, "{topic} Norden", ("Kundservice", "Försäljning", "Fakturor", "Återbud")),
    ("US East", -5, "{topic} US", ("Support", "Sales", "Billing", "Retention", "Claims", "Roadside")),
    ("الخليج", 4, "{topic} – الخليج", ("الدعم", "المبيعات", "الفواتير")),
)
_PRODUCTS = ("Mobile", "Fibre", "Cards", "Loans", "Travel", "Home & Contents", "Business", "Énergie", "Pay+")
_TIERS = ("L1", "L2", "L3", "VIP", "Overflow", "Out of hours", "Callback desk", "Digital")

# Every id is a version 5 UUID under this one, so the seed alone decides it.
_NAMESPACE = uuid.UUID("6d1f8a0c-52c8-4c55-9a53-3f6f4c0d9e11")


def stable_uuid(*parts: object) -> str:
    """The same UUID for the same parts, on every machine."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(map(str, parts))))


def divisions(seed: int) -> tuple[Division, ...]:
    return tuple(
        Division(stable_uuid(seed, "division", name), name, offset, pattern, topics)
        for name, offset, pattern, topics in _PLACES
    )


def queue_name(division: Division, rng: random.Random, taken: Container[str]) -> str:
    """Return an unused name for a queue of the division.

    The short names go first; a product, then a tier, then a number tell later queues apart.
    """
    topic = rng.choice(division.topics)
    short = division.region.format(topic=topic)
    if short not in taken:
        return short
    product = rng.choice(_PRODUCTS)
    with_product = f"{short} ({product})"
    if with_product not in taken:
        return with_product
    base = f"{short} ({product}, {rng.choice(_TIERS)})"
    name, number = base, 2
    while name in taken:
        name, number = f"{base} {number}", number + 1
    return name
