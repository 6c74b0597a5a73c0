"""Contact data and secrets in texts: found by their form and their check digits, and masked."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

_MADE_UP = re.compile(
    r"(^|[@.])(example\.(com|org|net|edu)|[\w-]+\.(example|test|invalid)|localhost)$"
)
# lengths of IBANs by country: https://www.swift.com/standards/data-standards/iban
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22,
    "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28,
    "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23,
    "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26,
    "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LI": 21, "LT": 20, "LU": 20, "LV": 21,
    "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15,
    "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "XK": 20,
}  # fmt: skip


class Form(NamedTuple):
    """One kind of data: what it is called, its look, a part of every one, and a closer look."""

    name: str
    pattern: re.Pattern[str]
    real: Callable[[str], bool] = bool
    hint: re.Pattern[str] | None = None


def found(text: str) -> Iterator[tuple[str, int, int]]:
    """The name, beginning and end of each in the order of FORMS; none overlaps another."""
    taken: list[tuple[int, int]] = []
    for form in FORMS:
        if form.hint is not None and not form.hint.search(text):
            continue
        for match in form.pattern.finditer(text):
            begin, end = match.span()
            overlaps = any(begin < other_end and other < end for other, other_end in taken)
            if not overlaps and form.real(match.group()):
                taken.append((begin, end))
                yield form.name, begin, end


def masked(text: str) -> str:
    """The text with its name in brackets in place of each."""
    for name, begin, end in sorted(found(text), key=lambda one: one[1], reverse=True):
        text = f"{text[:begin]}[{name}]{text[end:]}"
    return text


def _email(text: str) -> bool:
    return not _MADE_UP.search(text.casefold())


def _iban(text: str) -> bool:
    plain = re.sub(r"[ -]", "", text).upper()
    if len(plain) != _IBAN_LENGTHS.get(plain[:2]):
        return False
    turned = plain[4:] + plain[:4]
    return int("".join(str(int(letter, 36)) for letter in turned)) % 97 == 1


def _card(text: str) -> bool:
    """Of a known issuer, and right by Luhn's check digit (ISO/IEC 7812-1)."""
    digits = re.sub(r"\D", "", text)
    if not re.fullmatch(
        r"4\d{12}(\d{3})?(\d{3})?|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|6(?:011|5\d\d)\d{12}|"
        r"3(?:0[0-5]|[68]\d)\d{11}|35\d{14}",
        digits,
    ):
        return False
    doubled = [int(d) * (1 + place % 2) for place, d in enumerate(reversed(digits))]
    return len(set(digits)) > 1 and sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _phone(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    return 9 <= len(digits) <= 15 and len(set(digits)) > 2


def _address(text: str) -> bool:
    """A public address: not of a home or office network, and none of those for examples."""
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


_KEYS = (
    r"sk-(?:ant-|proj-|svcacct-|or-v1-)?[A-Za-z0-9_-]{20,}",
    r"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,}|glpat-[A-Za-z0-9_-]{20,}",
    r"(?:AKIA|ASIA)[0-9A-Z]{16}",
    r"AIza[0-9A-Za-z_-]{35}",
    r"xox[abprs]-[0-9A-Za-z-]{10,}",
    r"hf_[A-Za-z]{30,}",
    r"[sr]k_(?:live|test)_[0-9a-zA-Z]{20,}",
    r"SG\.[\w-]{16,}\.[\w-]{16,}",
    r"npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}",
    r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
)
_DIGITS = re.compile(r"\d[ ()./-]{0,2}\d[ ()./-]{0,2}\d[ ()./-]{0,2}\d[ ()./-]{0,2}\d")
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
FORMS = (
    Form(
        "private key",
        re.compile(
            r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----"
            r"(?:[^-]{0,20000}-----END (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----)?"
        ),
        hint=re.compile("PRIVATE KEY"),
    ),
    Form(
        "API key",
        re.compile(rf"(?<![\w-])(?:{'|'.join(_KEYS)})(?!\w)"),
        hint=re.compile(
            "sk-|gh[pousr]_|github_pat|glpat-|AKIA|ASIA|AIza|xox|hf_|k_live|k_test|SG\\.|npm_|"
            "pypi-|eyJ"
        ),
    ),
    Form(
        "e-mail",
        re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])"),
        _email,
        re.compile("@"),
    ),
    Form(
        "IBAN",
        re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{1,4}){3,8}(?!\w)"),
        _iban,
        re.compile(r"[A-Z]{2}\d\d"),
    ),
    Form("card number", re.compile(r"(?<![\w.,-])\d(?:[ -]?\d){12,18}(?![\w-])"), _card, _DIGITS),
    Form(
        "IP address",
        re.compile(
            rf"(?<![\w.])(?:{_OCTET}\.){{3}}{_OCTET}(?!\w|\.\d)|"
            r"(?<![\w:])[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}(?![\w:])"
        ),
        _address,
        re.compile(r"\d\.\d{1,3}\.\d|[0-9a-f]:[0-9a-f:]", re.IGNORECASE),
    ),
    Form(
        "phone number",
        re.compile(
            r"(?<![\w.,+-])(?<!\d )(?:(?:\+|00)[1-9]\d{0,2}(?:[ ./-]?\(0?\d{0,5}\)|(?=[ ./\d-]))"
            r"(?:[ ./-]?\d{2,}){2,5}"
            r"|\(\d{2,5}\)[ -]?\d{3,4}(?:[ -]?\d{2,4}){1,3}"
            r"|0\d{2,5}[/ -]\d{3,4}(?:[ -]?\d{2,4}){1,3}"
            r"|[2-9]\d{2}[-.][2-9]\d{2}[-.]\d{4})(?![\w-]|[.,]\d)"
        ),
        _phone,
        _DIGITS,
    ),
)
