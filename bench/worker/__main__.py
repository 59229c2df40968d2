"""python -m bench.worker: one job as JSON on stdin, what was found as JSON on stdout."""

from bench.worker.measure import main

if __name__ == "__main__":
    main()
