"""When a run should pause by itself, and when it may go on: rules and what they look at."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

Reason = Literal["game", "heat", "battery", "hours"]
REASONS: tuple[Reason, ...] = get_args(Reason)


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What the user wants looked after; all of it off but keeping the machine awake.

    `game_mode`: pause while another program takes the card's memory. `hot_celsius`: pause above
    this temperature of the card; 0 is off. `on_battery`: pause while the machine runs on battery.
    `hours`: train only between these times of day, "22:00-08:00"; empty is always.
    """

    game_mode: bool = False
    hot_celsius: int = 0
    on_battery: bool = False
    hours: str = ""
    keep_awake: bool = True
