"""Set the studio up if need be, then start it: `python packaging/run.py [ARGS…]`.

ARGS go to the `finetune-studio` command; without any, the window opens.
"""

import sys

import needs_python

if __name__ == "__main__":
    needs_python.check()
    import handover

    sys.exit(handover.run(sys.argv[1:]))
