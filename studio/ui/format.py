"""Numbers as people read them."""

from __future__ import annotations

_GIB, _MIB = 1024**3, 1024**2


def size(count: float) -> str:
    """Bytes as GB, MB or KB, of 1024 each, as on the box of a graphics card."""
    if count >= 100 * _GIB:
        return f"{count / _GIB:.0f} GB"
    if count >= 1000 * _MIB:
        return f"{count / _GIB:.1f} GB"
    if count >= _MIB:
        return f"{count / _MIB:.0f} MB"
    return f"{max(count / 1024, 0):.0f} KB"


def size_of(used: float, total: float) -> str:
    """How much of how much: 10.9 of 24 GB."""
    return f"{used / _GIB:.1f} of {whole(total)}"


def whole(total: float) -> str:
    """The size of a whole memory: 24 GB, 7.8 GB."""
    amount = total / _GIB
    return f"{amount:.0f} GB" if amount >= 10 else f"{amount:.1f} GB"


def count(number: float) -> str:
    """A whole number with separators."""
    return f"{number:,.0f}"


def parameters(number: float) -> str:
    """135 M, 7.2 B."""
    if number >= 1e9:
        return f"{number / 1e9:.1f} B"
    if number >= 1e7:
        return f"{number / 1e6:.0f} M"
    return f"{number / 1e6:.1f} M" if number >= 1e6 else count(number)


def share(fraction: float) -> str:
    """0.643 as 64 %; nothing but all is 100 %."""
    percent = fraction * 100
    return f"{min(percent, 99) if fraction < 1 else 100:.0f}%"


def duration(seconds: float) -> str:
    """A time span, roughly: 40 s, 42 min, 3 h 10 min, 2 days."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{round(hours / 24)} days"


def loss(value: float) -> str:
    """A loss: 1.932, and a small one with the digits that still tell: 0.0012."""
    return f"{value:.3f}" if abs(value) >= 0.01 or not value else f"{value:.2g}"


def rate(value: float) -> str:
    """A learning rate: 0.0002 as 2e-4."""
    if value and (abs(value) < 1e-3 or abs(value) >= 1e6):
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{value:.6g}"
