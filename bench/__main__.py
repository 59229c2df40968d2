"""python -m bench"""

import os

if __name__ == "__main__":
    try:
        from bench.cli import entry

        entry()
    except KeyboardInterrupt:  # before there is a handler
        os._exit(130)
