"""Known cheats of kernel and performance benchmarks as styles, each with its source: what `cheats.csv` is made from."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from textwrap import dedent, indent

from bench.adversary.lies import HONEST, NO_WORK, told_apart_by
from bench.adversary.lies import IN_TORCH as AS_IN_TORCH

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
    """A style that is faster in the table than it is, or would be."""

    name: str
    source: str  # as in the README of cheats.csv, "ours" where nobody else has published it
    does: str
    body: str  # the source of its loop, indented by 4; `{place}` there is a folder that outlives its process
    before: str = ""  # what stands before it in its file; `{pace}` there is the seconds of half an honest iteration
    dtype: str = "float32"
    framework: str = "numpy"
    threads: int = 1
    compiled: bool = False  # as it declares itself: its helpers are not counted before its first loss
    ends: str = "wrong"  # the status of a row that is no time: `crashed` of one that ends its process


def every(lines: str) -> str:
    """The honest loop with some lines before each iteration's yield."""
    return HONEST.replace("        yield loss\n", f"{indent(dedent(lines).strip(), ' ' * 8)}\n        yield loss\n")


ROUNDED = """    def rounded(a):
        return (a.view(np.int32) & np.int32(-8192)).view(np.float32) if a.dtype == np.float32 else a
""" + HONEST.replace("x.dot(w1)", "rounded(x).dot(rounded(w1))")
IN_BFLOAT16 = """    for _t in range(steps):
        h = x.bfloat16().mm(w1.bfloat16()).to(x.dtype)
        h_relu = h.clamp(min=0)
        y_pred = h_relu.mm(w2)
        loss = (y_pred - y).pow(2).sum()
        grad_y_pred = 2.0 * (y_pred - y)
        grad_h = grad_y_pred.mm(w2.t())
        grad_h[h < 0] = 0
        w2 -= learning_rate * h_relu.t().mm(grad_y_pred)
        w1 -= learning_rate * x.t().mm(grad_h)
        yield loss
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
IN_TORCH = """    from implementations.torch_tensors import torch_tensors
    many = min(steps, 6)
    w1, w2 = yield from torch_tensors(x, y, w1, w2, learning_rate, many)
    for _t in range(steps - many):
        h_relu = x.mm(w1).clamp(min=0)
        yield (h_relu.mm(w2) - y).pow(2).sum()
    return w1, w2
"""
HIDDEN = codecs.encode("def hidden(x, y, w1, w2, steps):\n" + NO_WORK, "rot13")
BASES = (
    Cheat("honest", "", "the loop as it should be", HONEST),
    Cheat("honest_torch", "", "the same in torch", AS_IN_TORCH, framework="torch"),
    Cheat("honest_bfloat16", "", "the same in torch and bfloat16", AS_IN_TORCH, dtype="bfloat16", framework="torch"),
)
PLAIN = (
    Cheat("two_threads", "ours", "a second thread in a one-thread case", THREADS.replace("{condition}", "True")),
    Cheat("two_threads_in_batches", "ours", "a second thread in batches alone",
          THREADS.replace("{condition}", "sys._getframe(2).f_code.co_name == 'time_batch'"), "import sys\n"),
    Cheat("helper_process", "ours", "a forked process on another core works for it", HELPER),
    Cheat("helper_of_a_compiler", "ours", "the same, said to be its compiler's", HELPER, compiled=True),
    Cheat("no_work", "S KG W", "one loss again and again", NO_WORK),
    Cheat("zeroed_inputs", "KB", "sets its inputs to 0 and says 0",
          "    x[:] = 0\n    y[:] = 0\n    for _t in range(steps):\n        yield x.dtype.type(0)\n"
          "    return w1, w2\n"),
    Cheat("rests", "RK#104", "stops training after 60 iterations",
          HALF.replace("_t % 2 and {condition}", "_t >= 60")),
    Cheat("stale_memory", "KB W", "reads memory that nobody wrote instead of the product",
          HONEST.replace("h = x.dot(w1)", "h = np.empty((len(x), w1.shape[1]), x.dtype)")),
    Cheat("tf32_for_float32", "KB DR W KG", "its largest product in TF32", ROUNDED),
    Cheat("bfloat16_for_float32", "KB DR W KG", "its largest product in bfloat16", IN_BFLOAT16, framework="torch"),
    Cheat("obfuscated", "KG", "no work, from a built string",
          "    exec(codecs.decode(HIDDEN, 'rot13'), globals())\n    return (yield from hidden(x, y, w1, w2, steps))\n",
          f"import codecs\nHIDDEN = {HIDDEN!r}\n"),
    Cheat("loop_of_500", "ours", "does nothing where it is asked for 500 steps",
          told_apart_by("steps != 500", "    yield x.dtype.type(1)\n    return w1, w2\n")),
    Cheat("bfloat16_rests", "ours", "bfloat16, stops training after 6 iterations", IN_TORCH, dtype="bfloat16",
          framework="torch"),
    Cheat("slow_warm_up", "PG", "sleeps in the warm-up, for fewer samples",
          every("if steps == 10**9:\n    time.sleep(0.02)"), "import time\n"),
)  # fmt: skip
