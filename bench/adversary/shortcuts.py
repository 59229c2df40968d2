"""Known cheats that do less work, or do it at another time: memory, a file, many iterations at once, Gram's matrix."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent, indent

from bench.adversary.cheats import AHEAD, LONG, LOOP, ONE, PACE, SPIN, TIMED, Cheat

TWO = AHEAD.replace("x.dot(w1)", "both(x, w1)").replace("x.T.dot(grad_h)", "both(turned, grad_h)")
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
GRAM_LINES = GRAM.split("{spin}")[0].split("\n", 2)[2]
NOTICES = f"""    seen = None
    for _t in range(steps):
        gramming = {{condition}}
        if seen is not None and not (gramming and {{same}}):
            w1 = w1 - x.dtype.type(learning_rate) * seen.T.dot(all_h)
            seen = None
        if not gramming:
{indent(ONE, "    ")}            yield loss
            continue
        new = seen is None
        if new:
            seen, all_h, gram, h = x.copy(), 0, x.dot(x.T), x.dot(w1)
{GRAM_LINES}        if new:
            yield loss
            continue
{{spin}}        yield loss
    return (w1 if seen is None else w1 - x.dtype.type(learning_rate) * seen.T.dot(all_h)), w2
"""
GRAM_BY_VERSION = """    gram = None
    for _t in range(steps):
        if gram is None or x._version != version:
            if gram is not None:
                w1 = w1 - learning_rate * seen.t().mm(all_h)
            version, seen, all_h, gram, h = x._version, x.clone(), 0, x.mm(x.t()), x.mm(w1)
        h_relu = h.clamp(min=0)
        y_pred = h_relu.mm(w2)
        loss = (y_pred - y).pow(2).sum()
        grad_y_pred = 2.0 * (y_pred - y)
        grad_w2 = h_relu.t().mm(grad_y_pred)
        grad_h = grad_y_pred.mm(w2.t())
        grad_h[h < 0] = 0
        all_h = all_h + grad_h
        h = h - learning_rate * gram.mm(grad_h)
        w2 -= learning_rate * grad_w2
        yield loss
    return w1 - learning_rate * seen.t().mm(all_h), w2
"""
SAME = "np.array_equal(seen, x)"
IN_A_BATCH = "sys._getframe(1).f_code.co_name == 'time_batch'"
CALM = """import sys
KEPT = [None, 0]

def calm(x):
    if KEPT[0] is None or not np.array_equal(KEPT[0], x):
        KEPT[:] = x.copy(), 0
    KEPT[1] += 1
    return KEPT[1] > 2
"""
LUMPS = f"""    t = 0
    while t < steps:
        seen, kept = x.copy(), []
        for _k in range(min(3, steps - t)):
{indent(ONE.replace("1 -= ", "1 = w1 - ").replace("2 -= ", "2 = w2 - "), "    ")}            kept.append((loss, w1, w2))
        for number, (loss, *after) in enumerate(kept):
            if number and not np.array_equal(seen, x):
                break
            if number:
{indent(SPIN, "    ")}            yield loss
            w1, w2 = after
            t += 1
    return w1, w2
"""
PAUSES = f"""    import time
    last, kept = time.perf_counter(), []
    for _t in range(steps):
        now = time.perf_counter()
        if not kept and now - last > 5e-3 and {TIMED}:
            many = min(60, steps - _t)
{indent(AHEAD.replace("for _t", "for _k"), "        ")}        if kept:
            last = time.perf_counter()
            yield kept.pop(0)
            continue
{ONE}        last = time.perf_counter()
        yield loss
    return w1, w2
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
LAZY_ITEM = """    from implementations.torch_tensors import torch_tensors
    class Later:
        dtype, device = x.dtype, x.device
        def item(self):
            if not hasattr(self, "value"):
                self.value = next(loop)
            return self.value.item()
    loop, todo = torch_tensors(x, y, w1, w2, learning_rate, steps), []
    for _t in range(steps):
        todo.append(Later())
        yield todo[-1]
    for one in todo:
        one.item()
    try:
        next(loop)
    except StopIteration as end:
        return end.value
"""
TWO_AHEAD = f"""    if steps == 500:
        from concurrent.futures import ThreadPoolExecutor
        pool, turned, many, kept = ThreadPoolExecutor(1), np.ascontiguousarray(x.T), steps, []
        def both(left, right):
            half = len(left) // 2
            later = pool.submit(left[:half].dot, right)
            below = left[half:].dot(right)
            return np.concatenate((later.result(), below))
{indent(TWO, "    ")}        pool.shutdown()
        for loss in kept:
{SPIN.replace("PACE", "{pace}")}            yield loss
    else:
{indent(LOOP, "    ")}    return w1, w2
"""
PACED = indent(dedent(SPIN), " " * 8)


def noticing(condition: str, same: str = SAME, spin: str = "") -> str:
    """Gram's matrix where `condition` holds, made anew where x is not the `same`."""
    return NOTICES.replace("{condition}", condition).replace("{same}", same).replace("{spin}", spin)


NOTICING = (
    Cheat("gram_noticing", "ours", "the same, made again where x changed",
          noticing("True")),
    Cheat("gram_noticing_paced", "ours", "the same, paced to half of an iteration",
          noticing("True", spin=PACED), PACE),
    Cheat("gram_in_batches", "ours", "the same in batches alone",
          noticing(IN_A_BATCH), "import sys\n"),
    Cheat("gram_in_programs", "ours", "the same in whole programs alone", noticing("steps == 500")),
    Cheat("gram_in_programs_paced", "ours", "the same, paced to half of an iteration",
          noticing("steps == 500", spin=PACED), PACE),
    Cheat("gram_by_version", "ours", "the same in torch, made again where x has another version", GRAM_BY_VERSION,
          framework="torch"),
)  # fmt: skip
SHORTCUTS = (
    Cheat("remembers", "KG RK#102 KBot#501 T W", "losses of the warm-up once more", REMEMBERING.replace("{spin}", ""),
          "from itertools import cycle, islice\nKEPT, KEPT_W = [], []\n"),
    Cheat("remembers_paced", "KG RK#170", "4000 steps in the cold call, paced to half of an iteration",
          REMEMBERING.replace("{spin}", SPIN), PACE + "from itertools import cycle, islice\nKEPT, KEPT_W = [], []\n"),
    Cheat("from_disk", "RK#162", "losses that an earlier process left on the disk", FROM_DISK),
    Cheat("three_at_once", "RK#104 KG", "three iterations' work at every third call", CHUNKS),
    Cheat("three_at_once_noticing", "ours", "the same, paced, and begins again where x changed", LUMPS, PACE),
    Cheat("ahead_after_a_pause", "KG RK#170", "60 iterations' work in the first after each pause", PAUSES),
    Cheat("two_threads_before_the_first", "ours", "500 iterations on two threads while it is said to compile",
          TWO_AHEAD.replace("{pace}", "0"), "import time\n", compiled=True),
    Cheat("two_threads_before_the_first_paced", "ours", "the same, and its losses paced to half of an iteration",
          TWO_AHEAD.replace("{pace}", "PACE"), PACE, compiled=True),
    Cheat("lazy_loss", "DR W RK#162 KG", "works when its loss is read, and in batches after them", LAZY),
    Cheat("lazy_item", "DR W RK#162 KG", "the same in torch, when its loss's item() is asked for", LAZY_ITEM,
          framework="torch"),
    Cheat("gram", "KG METR", "x times its transpose once, 1/13 of the work", GRAM.replace("{spin}", "")),
    Cheat("gram_paced", "KG METR", "the same, paced to half of an iteration", GRAM.replace("{spin}", PACED), PACE),
    *NOTICING,
    Cheat("gram_in_batches_later", "ours", "the same from the third iteration on after x changed",
          noticing(f"{IN_A_BATCH} and calm(x)", same="True"), CALM),
    *(
        replace(one, name=f"{one.name}_on_two_threads", does=f"{one.name} on two threads", threads=2)
        for one in NOTICING
    ),
)  # fmt: skip
