"""Known cheats of kernel and performance benchmarks as styles, each with its source: what `cheats.csv` is made from."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from textwrap import dedent, indent

from bench.validation.lies import HONEST, NO_WORK

LONG = "steps > 50"  # the warm-up, the timed loop or a whole program: a rehearsal has 50 steps
TIMED = "50 < steps < 10**9"  # the timed loop or a whole program: a rehearsal has 50 steps, the warm-up has no end
LOOP = HONEST.removesuffix("    return w1, w2\n")
AHEAD = LOOP.replace("range(steps)", "range(many)").replace("yield loss", "kept.append(loss)")
SPIN = """\
            until = time.perf_counter() + PACE
            while time.perf_counter() < until:
                pass
"""
PACE = "import time\nPACE = {pace}\n"
ONE = LOOP.split("\n", 1)[1].removesuffix("        yield loss\n")  # the lines of an iteration


@dataclass(frozen=True, slots=True)
class Cheat:
    """A style that is faster in the table than it is, or would be.

    `body` is the source of its loop, indented by 4, `before` what stands before it in its file; `{pace}` there is the
    seconds of half an honest iteration, `{place}` a folder that outlives its process. `source` is as in the README of
    cheats.csv, "ours" where nobody else has published it.
    """

    name: str
    source: str
    does: str
    body: str
    before: str = ""
    dtype: str = "float32"
    framework: str = "numpy"


def where(condition: str, body: str) -> str:
    """`body` where the condition holds, else the honest loop."""
    return f"    if {condition}:\n{indent(body, '    ')}\n    else:\n{indent(HONEST, '    ')}"


def every(lines: str) -> str:
    """The honest loop with some lines before each iteration's yield."""
    return HONEST.replace("        yield loss\n", f"{indent(dedent(lines).strip(), ' ' * 8)}\n        yield loss\n")


REMEMBERING = f"""    if steps == 10**9:
        many = 4000
        kept = KEPT
{indent(AHEAD, "    ")}        KEPT_W.extend((w1, w2))
    if KEPT and {LONG}:
        for loss in islice(cycle(KEPT), steps):
{{spin}}            yield loss
        w1, w2 = KEPT_W
    else:
{indent(LOOP, "    ")}    return w1, w2
"""
FROM_DISK = f"""    import os, pickle
    path = "{{place}}/" + "-".join(map(str, (*x.shape, *w2.shape, x.dtype, steps)))
    if {TIMED} and os.path.exists(path):
        losses, w1, w2 = pickle.load(open(path, "rb"))
        for loss in losses:
            yield loss
        return w1, w2
    kept = []
{LOOP.replace("yield loss", "kept.append(loss); yield loss")}    pickle.dump((kept, w1, w2), open(path, "wb"))
    return w1, w2
"""
CHUNKS = f"""    for first in range(0, steps, 3):
        kept = []
        many = min(3, steps - first)
{indent(AHEAD, "    ")}        yield from kept
    return w1, w2
"""
GRAM = """    gram, h, all_h = x.dot(x.T), x.dot(w1), 0
    for _t in range(steps):
        h_relu = np.maximum(h, 0)
        y_pred = h_relu.dot(w2)
        loss = np.square(y_pred - y).sum()
        grad_y_pred = 2.0 * (y_pred - y)
        grad_w2 = h_relu.T.dot(grad_y_pred)
        grad_h = grad_y_pred.dot(w2.T)
        grad_h[h < 0] = 0
        all_h = all_h + grad_h
        h = h - x.dtype.type(learning_rate) * gram.dot(grad_h)
        w2 -= learning_rate * grad_w2
{spin}        yield loss
    return w1 - x.dtype.type(learning_rate) * x.T.dot(all_h), w2
"""
LAZY = f"""    class Later:
        dtype = x.dtype
        def __init__(self): todo.append(self)
        def __float__(self):
            while todo:
                todo.pop(0).value = one()
            return float(self.value)
    todo = []
    def one():
        nonlocal w1, w2
{ONE}        return loss
    for _t in range(steps):
        yield Later()
    while todo:
        todo.pop(0).value = one()
    return w1, w2
"""
THREADS = """    from concurrent.futures import ThreadPoolExecutor
    pool, half = ThreadPoolExecutor(1), len(x) // 2
    def both(left, right):
        if {condition}:
            later = pool.submit(left[:half].dot, right)
            below = left[half:].dot(right)
            return np.concatenate((later.result(), below))
        return left.dot(right)
""" + HONEST.replace("x.dot(w1)", "both(x, w1)").replace("x.T.dot(grad_h)", "both(np.ascontiguousarray(x.T), grad_h)")
HELPER = f"""    import mmap, os
    shared = [np.frombuffer(mmap.mmap(-1, max(a.nbytes, 8)), a.dtype, a.size).reshape(a.shape) for a in (x, y, w1, w2)]
    flag = np.frombuffer(mmap.mmap(-1, 8), np.int64)
    out = np.frombuffer(mmap.mmap(-1, 8), np.float64)
    mine = x
    for here, there in zip((x, y, w1, w2), shared):
        there[:] = here
    x, y, w1, w2 = shared
    child = os.fork()
    if child == 0:
        while flag[0] >= 0:
            if flag[0] == 1:
{indent(ONE, "        ")}                out[0] = loss
                flag[0] = 0
        os._exit(0)
    try:
        for _t in range(steps):
            x[:] = mine
            flag[0] = 1
            while flag[0] == 1:
                pass
            yield x.dtype.type(out[0])
    finally:
        flag[0] = -1
        os.waitpid(child, 0)
    return np.array(w1), np.array(w2)
"""
HALF = HONEST.replace(
    "        h = ", "        if _t % 2 and {condition}:\n            yield loss\n            continue\n        h = "
)
PATCHED = "import sys\nfrom time import perf_counter_ns\nfrom bench.worker import clock, deviation, measure\n"
IN_TORCH = """    from implementations.torch_tensors import torch_tensors
    many = min(steps, 6)
    w1, w2 = yield from torch_tensors(x, y, w1, w2, learning_rate, many)
    for _t in range(steps - many):
        h_relu = x.mm(w1).clamp(min=0)
        yield (h_relu.mm(w2) - y).pow(2).sum()
    return w1, w2
"""
HIDDEN = codecs.encode("def hidden(x, y, w1, w2, steps):\n" + NO_WORK, "rot13")
CHEATS = (
    Cheat("remembers", "KG RK#102 KBot#501 T W", "losses of the warm-up once more", REMEMBERING.replace("{spin}", ""),
          "from itertools import cycle, islice\nKEPT, KEPT_W = [], []\n"),
    Cheat("remembers_paced", "KG RK#170", "4000 steps in the cold call, paced to half of an iteration",
          REMEMBERING.replace("{spin}", SPIN), PACE + "from itertools import cycle, islice\nKEPT, KEPT_W = [], []\n"),
    Cheat("from_disk", "RK#162", "losses that an earlier process left on the disk", FROM_DISK),
    Cheat("three_at_once", "RK#104 KG", "three iterations' work at every third call", CHUNKS),
    Cheat("frame_reader", "KG PG", "sees its caller's name, works half in batches",
          HALF.replace("{condition}", "sys._getframe(1).f_code.co_name == 'time_batch'"), "import sys\n"),
    Cheat("half_clock", "KG DR W RK#162", "puts half the clock into the defaults of the timing functions", HONEST,
          PATCHED + "half = lambda: perf_counter_ns() // 2\n"
          "clock.time_latency.__defaults__ = clock.time_batch.__defaults__ = (half,)\n"
          "clock.time_pieces.__defaults__ = clock.time_batch_pieces.__defaults__ = (half,)\n"),
    Cheat("half_answer", "KG PG", "halves the times in the worker's answer", HONEST,
          PATCHED + "plain = measure.to_plain\n"
          "def halved(value):\n"
          "    found = plain(value)\n"
          "    if isinstance(found, dict) and 'batches' in found:\n"
          "        for key in ('elapsed_ns', 'untimed_ns'):\n"
          "            found[key] = [ns // 2 for ns in found[key]]\n"
          "        for batch in found['batches']:\n"
          "            batch['elapsed_ns'] //= 2\n"
          "    return found\n"
          "measure.to_plain = halved\n"),
    Cheat("frame_writer", "KG PG", "halves the samples in its caller's frame",
          every("""
          frame = sys._getframe(1)
          if frame.f_code.co_name == "time_latency":
              samples, at = frame.f_locals["elapsed"], frame.f_locals["i"]
              if at:
                  samples[at - 1] //= 2
          """), "import sys\n"),
    Cheat("gate_replaced", "KG PG", "replaces the checks and the oracle, trains on half of the samples",
          HONEST.replace("    for _t", "    x, y = x[: len(x) // 2], y[: len(y) // 2]\n    for _t", 1),
          PATCHED + "deviation.reason = lambda found: None\n"
          "measure.rehearse = lambda *_: [1.0] * 50\nmeasure.check_opening = measure.check_pace = lambda *_: None\n"),
    Cheat("no_checks_no_work", "ours", "replaces the checks in the measuring module, does nothing", NO_WORK,
          PATCHED + "measure.rehearse = lambda *_: [1.0] * 50\n"
          "measure.check_opening = measure.check_pace = lambda *_: None\n"),
    Cheat("forged_answer", "KG PG", "writes an answer to every descriptor and ends the process",
          f"""    import os
    if {TIMED}:
        said = b'{{"status": "ok", "values": {{"latency_median_us": 9.0, "throughput_us": 9.0}}, "timed_us": [9.0]}}'
        for descriptor in range(3, 20):
            try:
                os.write(descriptor, said)
            except OSError:
                pass
        os._exit(0)
{HONEST}"""),
    Cheat("lazy_loss", "DR W RK#162 KG", "works when its loss is read, and in batches after them", LAZY),
    Cheat("two_threads", "ours", "a second thread in a one-thread case", THREADS.replace("{condition}", "True")),
    Cheat("two_threads_in_batches", "ours", "a second thread in batches alone",
          THREADS.replace("{condition}", "sys._getframe(2).f_code.co_name == 'time_batch'"), "import sys\n"),
    Cheat("helper_process", "ours", "a forked process on another core works for it", HELPER),
    Cheat("no_work", "S KG W", "one loss again and again", NO_WORK),
    Cheat("zeroed_inputs", "KB", "sets its inputs to 0 and says 0",
          "    x[:] = 0\n    y[:] = 0\n    for _t in range(steps):\n        yield x.dtype.type(0)\n"
          "    return w1, w2\n"),
    Cheat("gram", "KG METR", "x times its transpose once, 1/13 of the work", GRAM.replace("{spin}", "")),
    Cheat("gram_paced", "KG METR", "the same, paced to half of an iteration",
          GRAM.replace("{spin}", indent(dedent(SPIN), " " * 8)),
          PACE),
    Cheat("rests", "RK#104", "stops training after 60 iterations",
          HALF.replace("_t % 2 and {condition}", "_t >= 60")),
    Cheat("obfuscated", "KG", "no work, from a built string",
          "    exec(codecs.decode(HIDDEN, 'rot13'), globals())\n    return (yield from hidden(x, y, w1, w2, steps))\n",
          f"import codecs\nHIDDEN = {HIDDEN!r}\n"),
    Cheat("slow_reference", "ours", "slows the product that the core's speed is read from", HONEST,
          "import numpy, time\ndot = numpy.dot\n"
          "def slow(a, b, out=None):\n"
          "    if a.shape == (128, 128):\n        time.sleep(5e-4)\n"
          "    return dot(a, b, out=out)\n"
          "numpy.dot = slow\n"),
    Cheat("loop_of_500", "ours", "does nothing where it is asked for 500 steps",
          where("steps == 500", "    yield x.dtype.type(1)\n    return w1, w2")),
    Cheat("bfloat16_rests", "ours", "bfloat16, stops training after 6 iterations", IN_TORCH, dtype="bfloat16",
          framework="torch"),
    Cheat("slow_warm_up", "PG", "sleeps in the warm-up, for fewer samples",
          every("if steps == 10**9:\n    time.sleep(0.02)"), "import time\n"),
)  # fmt: skip
