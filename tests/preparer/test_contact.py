"""Contact data and keys: what is one, what only looks like one, and what is put in its place."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.preparer.contact import FORMS, found, masked

LEAKS = [
    ("Write to ada.lovelace+x@analytical-engine.co.uk today.", "e-mail"),
    ("Grüße an jörg@müller.de!", "e-mail"),
    ("Call +49 30 901820 99 or so", "phone number"),
    ("Ring +1 (415) 555-2671.", "phone number"),
    ("Tel. 030/901 820 99", "phone number"),
    ("Fax (020) 7946 0958", "phone number"),
    ("call 415-555-2671 now", "phone number"),
    ("0044 20 7946 0958", "phone number"),
    ("IBAN DE89 3704 0044 0532 0130 00, please", "IBAN"),
    ("to GB82WEST12345698765432.", "IBAN"),
    ("card 4111 1111 1111 1111 exp", "card number"),
    ("378282246310005", "card number"),
    ("from 93.184.216.34 again", "IP address"),
    ("host 2606:2800:220:1:248:1893:25c8:1946 is up", "IP address"),
    ("key sk-proj-abcdefghijklmnopqrstuvwxyz012345", "API key"),
    ("token ghp_abcdefghijklmnopqrstuvwxyz0123456789", "API key"),
    ("AKIAIOSFODNN7EXAMPLE", "API key"),
    ("hf_abcdefghijklmnopqrstuvwxyzABCDEFGH", "API key"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----", "private key"),
]
NONE = [
    "me@example.com and you@shop.example",
    "a@b",
    "Born 1984-05-12, order 4521 on 12.05.2026 at 10:30:45.",
    "DE89 3704 0044 0532 0130 01",
    "4111 1111 1111 1112",
    "0000 0000 0000 0000",
    "version 1.2.3.4.5 and 10.0.0.1, 127.0.0.1, 192.168.1.10, 999.1.1.1, 203.0.113.9",
    "3.14159265358979 and 1,000,000,000 and 0.123456789012",
    "It costs 12 345 678 pounds, or 2026 - 1984 = 42.",
    "sk-learn is a library; task-based",
    "the ratio is 16:9 and std::vector::size",
    "ISBN 978-3-16-148410-0",
    "Order 978: one national necklace for Max.",
    "call(0, 123) == f(456, 7890)",
]


@pytest.mark.parametrize(("text", "name"), LEAKS)
def test_leaks_are_found_and_masked(text: str, name: str) -> None:
    ((kind, begin, end),) = found(text)
    assert kind == name
    covered = masked(text)
    assert covered == f"{text[:begin]}[{name}]{text[end:]}"
    assert list(found(covered)) == []


@pytest.mark.parametrize("text", NONE)
def test_what_only_looks_like_one_is_left(text: str) -> None:
    assert list(found(text)) == []
    assert masked(text) == text


def test_several_in_one_text() -> None:
    text = "ada@work.org, +49 30 90182099 and bob@work.org"
    assert masked(text) == "[e-mail], [phone number] and [e-mail]"


@given(st.text(alphabet="ab@.+-0123456789 :/()DE\n", max_size=200))
def test_masking_twice_changes_nothing_more(text: str) -> None:
    once = masked(text)
    assert masked(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "a" * 200_000 + "@",
        "1 " * 100_000,
        "a." * 100_000 + "@" + "b." * 50_000,
        "DE89 " * 40_000,
        "-----BEGIN PRIVATE KEY-----" * 5_000,
        "ab:" * 60_000,
        "(030) " * 40_000,
        "+49 " * 50_000,
        "sk-" * 60_000,
        "eyJaaaaaaaaaaaa." * 12_000,
    ],
)
def test_no_text_takes_long(text: str) -> None:
    before = time.process_time()
    masked(text)
    assert time.process_time() - before < 3
    assert len({form.name for form in FORMS}) == len(FORMS)
