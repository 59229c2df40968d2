"""Known cheats that reach into the harness: its clock, its frames, its checks, its answer, its reading of the core."""

from __future__ import annotations

from bench.adversary.cheats import HALF, TIMED, Cheat, every
from bench.adversary.lies import HONEST, NO_WORK

PATCHED = """\
import sys
from time import perf_counter_ns
from bench.timing import clock
from bench.verification import deviation
from bench.worker import measure
"""
CLOCKED = """\
clock.time_latency.__defaults__ = clock.time_batch.__defaults__ = ({clock},)
clock.time_pieces.__defaults__ = clock.time_batch_pieces.__defaults__ = ({clock},)
"""
UNCHECKED = "measure.rehearse = lambda *_: [1.0] * 50\nmeasure.check_opening = measure.check_pace = lambda *_: None\n"
HALVED = """\
def halved(value):
    found = plain(value)
    if isinstance(found, dict) and "batches" in found:
        for key in ("elapsed_ns", "untimed_ns"):
            found[key] = [ns // 2 for ns in found[key]]
        for batch in found["batches"]:
            batch["elapsed_ns"] //= 2
    return found
plain, measure.to_plain = measure.to_plain, halved
"""
FORGED = f"""    import os
    if {TIMED}:
        said = b'{{"status": "ok", "values": {{"latency_median_us": 9.0, "throughput_us": 9.0}}, "timed_us": [9.0]}}'
        for descriptor in range(3, 20):
            try:
                os.write(descriptor, said)
            except OSError:
                pass
        os._exit(0)
"""
COURSE = """\
import sys
def course():
    frame = sys._getframe(2)
    while frame is not None and frame.f_code.co_name != "run":
        frame = frame.f_back
    return frame.f_locals.get("self") if frame is not None else None
"""
MOVES = """
mine = course()
if mine is not None and mine.untimed_ns and len(mine.elapsed_ns) > moved[0]:
    for at in range(moved[0], len(mine.elapsed_ns)):
        mine.untimed_ns[-1] += mine.elapsed_ns[at] // 2
        mine.elapsed_ns[at] -= mine.elapsed_ns[at] // 2
    moved[0] = len(mine.elapsed_ns)
"""
PAUSES = MOVES.replace("untimed_ns", "outside_ns")
IN_PAUSES = """\
import torch
from torch.overrides import TorchFunctionMode
class Watch(TorchFunctionMode):
    after = staticmethod(lambda: None)
    def __torch_function__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        if function is torch.Tensor.neg_:
            self.after()
        return found
"""
AHEAD_IN_PAUSES = """    def one(w1, w2):
        h = x.mm(w1)
        h_relu = h.clamp(min=0)
        error = h_relu.mm(w2) - y
        grad_h = 2.0 * error.mm(w2.t())
        grad_h[h < 0] = 0
        step_1, step_2 = x.t().mm(grad_h), 2.0 * h_relu.t().mm(error)
        return error.pow(2).sum(), w1 - learning_rate * step_1, w2 - learning_rate * step_2
    def ahead():
        kept.clear()
        now = at[0]
        for _ in range(24):
            loss, *now = one(*now)
            kept.append((loss, now))
    kept, at = [], [(w1, w2)]
    watch = Watch()
    watch.after = ahead
    watch.__enter__()
    try:
        for _t in range(steps):
            if not kept:
                ahead()
            loss, at[0] = kept.pop(0)
            yield loss
    finally:
        watch.__exit__(None, None, None)
    return tuple(at[0])
"""
READINGS = """
mine = course()
if mine is not None and len(mine.readings) > moved[0]:
    for at in range(moved[0], len(mine.readings)):
        one = mine.readings[at]
        mine.readings[at] = type(one)(one.us * 1.2, one.after_case_us * 1.2)
    moved[0] = len(mine.readings)
"""
BURNS = """\
import sys, threading, time
import numpy
def burn():
    main, left = threading.main_thread().ident, numpy.ones((400, 400), numpy.float32)
    while True:
        frame, names = sys._current_frames().get(main), []
        while frame is not None:
            names.append(frame.f_code.co_name)
            frame = frame.f_back
        if "least_us" in names or "gauge" in names or "read" in names:
            left.dot(left)
        else:
            time.sleep(5e-4)
threading.Thread(target=burn, daemon=True).start()
"""
NATIVE = """\
import ctypes, time
real = time.perf_counter_ns
class Definition(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("call", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p)]
clocks = ctypes.CFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_void_p)
half = clocks(lambda *_: time.monotonic_ns() // 2)
place = ctypes.c_void_p.from_address(id(real) + 2 * ctypes.sizeof(ctypes.c_void_p))
Definition.from_address(place.value).call = ctypes.cast(half, ctypes.c_void_p).value
"""

INROADS = (
    Cheat("frame_reader", "KG PG", "sees its caller's name, works half in batches",
          HALF.replace("{condition}", "sys._getframe(1).f_code.co_name == 'time_batch'"), "import sys\n"),
    Cheat("half_clock", "KG DR W RK#162", "puts half the clock into the defaults of the timing functions", HONEST,
          PATCHED + "half = lambda: perf_counter_ns() // 2\n" + CLOCKED.format(clock="half")),
    Cheat("shaved_clock", "DR W", "shaves 8% off the clock, within what the witness allows", HONEST,
          PATCHED + "shaved = lambda: int(perf_counter_ns() * 0.92)\n" + CLOCKED.format(clock="shaved")),
    Cheat("native_clock", "PG", "half the clock from within the interpreter, where no name changes", HONEST, NATIVE),
    Cheat("half_answer", "KG PG", "halves the times in the worker's answer", HONEST, PATCHED + HALVED),
    Cheat("frame_writer", "KG PG", "halves the samples in its caller's frame",
          every("""
          frame = sys._getframe(1)
          if frame.f_code.co_name == "time_latency":
              samples, at = frame.f_locals["elapsed"], frame.f_locals["i"]
              if at:
                  samples[at - 1] //= 2
          """), "import sys\n"),
    Cheat("moves_times", "KG PG", "moves half of each sample to the iterations before them, through frames",
          "    moved = [0]\n" + every(MOVES), COURSE),
    Cheat("moves_times_to_pauses", "ours", "moves half of each sample to what passes between them, through frames",
          "    moved = [0]\n" + every(PAUSES), COURSE),
    Cheat("works_in_pauses", "ours", "trains ahead whenever x has changed sign, which a mode of torch tells it",
          AHEAD_IN_PAUSES, IN_PAUSES, framework="torch"),
    Cheat("forges_readings", "ours", "makes the core look slower, through frames",
          "    moved = [0]\n" + every(READINGS), COURSE, ends="crashed"),
    Cheat("burns_beside_reference", "ours", "a thread that works only while the core's speed is read", HONEST, BURNS),
    Cheat("slow_reference", "ours", "slows the product that the core's speed is read from", HONEST,
          "import numpy, time\ndot = numpy.dot\n"
          "def slow(a, b, out=None):\n"
          "    if a.shape == (128, 128):\n        time.sleep(5e-4)\n"
          "    return dot(a, b, out=out)\n"
          "numpy.dot = slow\n"),
    Cheat("gate_replaced", "KG PG", "replaces the checks and the oracle, trains on half of the samples",
          HONEST.replace("    for _t", "    x, y = x[: len(x) // 2], y[: len(y) // 2]\n    for _t", 1),
          PATCHED + "deviation.reason = lambda found: None\n" + UNCHECKED),
    Cheat("no_checks_no_work", "ours", "replaces the checks in the measuring module, does nothing", NO_WORK,
          PATCHED + UNCHECKED),
    Cheat("checks_of_main", "ours", "replaces the checks by way of __main__, does nothing", NO_WORK,
          "import sys\nmine = getattr(sys.modules['__main__'].main, '__globals__', {})\n"
          "if 'Found' in mine:\n    mine['check'] = lambda *_: mine['Found']('ok', losses=[1.0] * 50)\n"),
    Cheat("forged_answer", "KG PG", "writes an answer to every descriptor and ends the process", FORGED + HONEST,
          ends="crashed"),
)  # fmt: skip
