"""The preparer's process, and the one that it lets chat templates run in."""

from __future__ import annotations

import sys

RENDER = "--render"


def main(arguments: list[str]) -> int:
    """`--home DIR` for the preparer itself."""
    if arguments == [RENDER]:
        from studio.preparer.renderer import main as render

        return render()
    from studio.preparer.serve import main as serve

    return serve(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
