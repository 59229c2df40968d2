"""Tests of bench.advice.advise and the command: blocks, retries, bounds from counts, bad input in one line."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.advice import own
from bench.advice.advise import Advice, AtBatch, Bound, bounds_of
from bench.advice.cards import OnCard
from bench.advice.network.asked import PRODUCT, Counted, Operation, StepFound
from bench.advice.words import batch_sheet, lines_of, paragraph, remarks
from bench.bounds.cards import all_cards
from bench.charts.batches import batch_chart
from bench.charts.drawing.style import Words
from bench.cli import main
from bench.commands.advise import _threads
from bench.errors import UsageError
from bench.verdict.ratios.intervals import Ratio
from implementations import StyleError

COUNTED = Counted(
    product_flops=1e6, other_flops=0.0, held_bytes=4000, operations=20, launches=20,
    work=[Operation(PRODUCT, 20, 5e4, 2000, 10, 50, 50)],
)  # fmt: skip
FILE = """
import torch
from implementations import network

@network
def tiny(batch):
    x = torch.randn(batch, 5)
    return torch.nn.Linear(5, 3), (x,), lambda out: out.square().sum()
"""


def advise(file, batches, threads, blocks, **options):
    return own.advise(file, batches=batches, threads=threads, blocks=blocks, **options)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks") / "tiny.py"
    path.write_text(FILE)
    return path


def ok(us, job, **changes):
    counted = COUNTED if job.count else None
    return StepFound("ok", "", us, 0.8 * us, "", "checked", 18, counted, **changes)


def test_every_block_holds_every_batch_and_thread_count_once_and_counts_once_a_batch(file):
    asked = []

    def one(job):
        asked.append(job)
        return ok(100.0 + len(asked) / 100, job)

    found = advise(file, [1, 8], [1, 2], 3, asked=one)
    assert [(job.batch, job.on.threads) for job in asked] == [(1, 1), (1, 2), (8, 1), (8, 2)] * 3
    assert [(job.batch, job.on.threads) for job in asked if job.count] == [(1, 1), (8, 1)]
    assert [one.batch for one in found.batches] == [1, 8]


def test_a_noisy_process_is_asked_once_more(file):
    tries = []

    def one(job):
        tries.append(job)
        answer = ok(100.0 + len(tries), job)
        return StepFound(**{**{name: getattr(answer, name) for name in StepFound.__slots__}, "noise": "spread"})

    found = advise(file, [4], [1], 2, asked=one)
    assert len(tries) == 4
    assert found.batches[0].noisy == 2
    assert "2 stayed noisy" in " ".join(remarks(found))


@settings(max_examples=50, deadline=None)
@given(
    times=st.lists(st.floats(1, 1e6), min_size=2, max_size=8),
    flops=st.floats(0, 1e13),
    held=st.integers(1, 10**11),
    launches=st.integers(1, 10**4),
)
def test_a_bound_never_lies_below_an_honest_time_of_a_card_as_published(file, times, flops, held, launches):
    counted = Counted(flops, 0.0, held, launches, launches)
    answers = iter(times)
    found = advise(
        file, [2], [1], len(times),
        asked=lambda job: StepFound("ok", "", us := next(answers), us, "", "", 1, counted if job.count else None),
    )  # fmt: skip
    row = found.batches[0]
    for bound in row.bounds:
        card = next(one for one in all_cards() if one.name == bound.card)
        best = card.float16_tflops / 3 if card.tensor_cores else card.float32_tflops
        honest = flops / max(best, card.float32_tflops) / 1e6
        honest += sum(one for one in (card.launch_us, card.answer_us) if not math.isnan(one))
        honest += 0 if math.isnan(card.memory_gbytes_per_s) else held / card.memory_gbytes_per_s / 1e3
        assert bound.least_us <= honest
        eager = honest + (0 if math.isnan(card.launch_us) else launches * card.launch_us)
        if not math.isnan(bound.eager_at_most):
            assert row.latency is not None
            assert row.latency.high / bound.eager_at_most <= eager * (1 + 1e-9)


@given(upper=st.floats(1, 1e9), launches=st.integers(1, 10**4))
def test_without_counted_launches_there_is_no_bound_for_eager_code(upper, launches):
    known, unknown = (
        bounds_of(Counted(1e6, 0.0, 100, launches, count), "iteration", upper) for count in (launches, None)
    )
    assert all(math.isnan(one.eager_at_most) for one in unknown)
    assert sum(not math.isnan(one.eager_at_most) for one in known) == sum(card.launch_us > 0 for card in all_cards())


def test_one_block_has_no_bound_and_says_so(file):
    found = advise(file, [2], [1], 1, asked=lambda job: ok(10.0, job))
    assert found.batches[0].bounds == ()
    assert "one block has no interval" in " ".join(paragraph(found))


def test_blocks_too_far_apart_bound_nothing_rather_than_99999_times(file):
    times = iter([1.0, 1e6])
    said = " ".join(paragraph(advise(file, [2], [1], 2, asked=lambda job: ok(next(times), job))))
    assert "no published card can be more than" not in said
    assert "At batch 2 the processes took times too far apart to bound anything; give more --blocks." in said


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--preset", "small"], "--preset needs --out DIR"),
        (["FILE", "--preset", "small", "--out", "d"], "leave out FILE"),
        (["--preset", "small", "--out", "d", "--batch", "3"], "leave out --batch"),
        ([], "name a file with your network"),
        (["FILE", "--out", "d"], "--out goes with --preset alone"),
        (["FILE", "--threads", "9999"], "--threads 9999: only "),
    ],
)
def test_what_does_not_go_together_is_one_line_with_the_cure(file, capsys, options, complaint):
    assert main(["advise", *(str(file) if one == "FILE" else one for one in options)]) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1


def test_work_that_nobody_counted_bounds_nothing_in_a_batch():
    nothing = Counted(0.0, 0.0, 1000, 10, None, "recurrent", ("aten.lstm",))
    assert bounds_of(nothing, "throughput", 100.0) == ()
    assert len(bounds_of(nothing, "iteration", 100.0)) == len(all_cards())


def test_eager_code_that_can_only_be_slower_is_said(file):
    found = advise(file, [1, 512], [1], 3, asked=lambda job: ok(5.0 * job.batch, job))
    assert "At batch 1 eager code" in " ".join(paragraph(found))
    assert "Predicted at batch 1" in " ".join(paragraph(found))
    assert "Predicted at batch 512" in " ".join(paragraph(found))


@settings(max_examples=10, deadline=None)
@given(us=st.lists(st.floats(0.5, 1e7), min_size=1, max_size=5))
def test_the_chart_draws_a_point_a_batch_and_line(file, us):
    times = {2**at: one for at, one in enumerate(us)}
    found = advise(file, list(times), [1], 3, asked=lambda job: ok(times[job.batch], job))
    lines = lines_of(found)
    assert len(lines) == 2
    assert all([batch for batch, _ in points] == list(times) for points in lines.values())
    (axes,) = batch_chart(lines, Words("title", "subtitle", "")).axes[:1]
    low, high = axes.get_ylim()
    assert all(low <= value <= high for points in lines.values() for _, value in points)


def test_a_batch_that_failed_is_a_row_with_its_reason_and_is_not_tried_again(file):
    asked = []

    def one(job):
        asked.append(job)
        return StepFound("oom", "out of memory") if job.batch == 9 else ok(10.0, job)

    found = advise(file, [1, 9], [1], 3, asked=one)
    assert [one.status for one in found.batches] == ["ok", "oom"]
    assert sum(job.batch == 9 for job in asked) == 1
    assert "oom: out of memory: 1 case: batch 9" in list(remarks(found))


@pytest.mark.parametrize(("batches", "blocks"), [([], 3), ([0], 3), ([1], 0), ([10**10], 3)])
def test_numbers_that_cannot_be_are_refused(file, batches, blocks):
    with pytest.raises(UsageError):
        advise(file, batches, [1], blocks, asked=lambda job: ok(1.0, job))


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_timeout_that_cannot_be_is_refused(file, seconds):
    with pytest.raises(UsageError, match="--timeout"):
        advise(file, [1], [1], 1, timeout_s=seconds, asked=lambda job: ok(1.0, job))


def test_a_network_that_hangs_kills_its_process_or_prints_is_a_row(tmp_path):
    bodies = {
        "timeout": "    import time\n    time.sleep(600)\n",
        "crashed": "    import os\n    os.kill(os.getpid(), 9)\n",
        "failed": "    print('{}')\n    return 1\n",
    }
    for status, body in bodies.items():
        path = tmp_path / f"{status}.py"
        path.write_text("from implementations import network\n@network\ndef net(batch):\n" + body)
        found = advise(path, [1], [1], 1, timeout_s=20 if status != "timeout" else 5)
        assert found.batches[0].status == status, found.batches[0].reason


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("x = 1\n", "no function"),
        ("from implementations import network\n@network\ndef a(b): ...\n@network\ndef c(b): ...\n", "2 functions"),
        ("from implementations import network\n@network\ndef a(): ...\n", "one argument"),
        ("def (", "does not parse"),
    ],
)
def test_a_file_without_its_one_function_is_refused(tmp_path, text, what):
    path = tmp_path / "net.py"
    path.write_text(text)
    with pytest.raises(StyleError, match=what):
        advise(path, [1], [1], 1, asked=lambda job: ok(1.0, job))


@pytest.mark.usefixtures("handlers")
def test_the_command_measures_a_real_network_and_a_broken_one_ends_with_2(file, tmp_path, capsys):
    assert main(["advise", str(file), "--batch", "2", "--blocks", "2", "--threads", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (row,) = found["batches"]
    assert (row["status"], row["parameters"], row["counted"]["launches"]) == ("ok", 18, row["counted"]["operations"])
    assert row["checked"] == "its loss and gradient are those of float64"
    assert len(row["bounds"]) == 2 * len(all_cards())
    broken = tmp_path / "broken.py"
    broken.write_text(FILE.replace("Linear(5, 3)", "Linear(6, 3)"))
    assert main(["advise", str(broken), "--batch", "2", "--threads", "1", "--blocks", "1"]) == 2
    assert "shapes cannot be multiplied" in capsys.readouterr().err
    assert main(["advise", str(tmp_path / "nowhere.py")]) == 2
    stem = tmp_path / "drawn"
    assert main(["advise", str(file), "--batch", "2", "--blocks", "2", "--threads", "1", "--chart", str(stem)]) == 0
    assert {path.suffix for path in tmp_path.glob("drawn.*")} == {".png", ".svg"}
    assert main(["advise", str(file), "--threads", "x"]) == 2


def test_batches_come_in_their_order_however_they_are_given(file):
    found = advise(file, [512, 1, 8, 1], [1], 2, asked=lambda job: ok(5.0 * job.batch, job))
    assert [one.batch for one in found.batches] == [1, 8, 512]


def a_batch(batch, *cards):
    bound = Bound("a card", "iteration", 1.0, "FLOP", 10.0, math.nan)
    each = tuple(OnCard(f"card {at}", ends, ends, "FLOP") for at, ends in enumerate(cards))
    return AtBatch(batch, "ok", "", 1, Ratio(10.0, 9.0, 11.0, 3), bounds=(bound,), predicted=each)


WIDE, SURE, SLOW = (1.0, 5.0, 20.0), (6.0, 6.5, 7.0), (20.0, 30.0, 40.0)


@pytest.mark.parametrize(
    ("cards", "says"),
    [
        (((WIDE, SURE), (WIDE, SURE)), "From batch 1 on a card is faster"),  # not the one whose middle is the least
        (((SLOW,), (SURE,)), "From batch 8 on a card is faster"),
        (((SLOW,), (WIDE,)), "At no batch measured is a card faster"),
        (((SURE,), (SLOW,)), "At batch 8 no card is faster by its whole interval, though at batch 1 one is."),
    ],
)
def test_it_says_from_which_batch_on_any_card_is_faster_for_sure(cards, says):
    rows = tuple(a_batch(batch, *each) for batch, each in zip((1, 8), cards, strict=True))
    words = " ".join(paragraph(Advice("n", (1,), 3, rows)))
    assert says in words
    assert "inf" not in words


def test_what_was_not_counted_has_no_cell_and_one_block_is_no_plural(file):
    found = advise(file, [2], [1], 1, asked=lambda job: ok(10.0, job))
    assert batch_sheet(found).title.endswith("1 block")
    (row,) = found.batches
    recurrent = replace(row, counted=replace(COUNTED, launches=None, why="recurrent"))
    assert "launches" in [column.name for column in batch_sheet(found).columns]
    assert "launches" not in [column.name for column in batch_sheet(replace(found, batches=(recurrent,))).columns]


def test_all_threads_are_those_that_a_run_would_take(monkeypatch):
    monkeypatch.setattr("bench.machine.environment.available_cpus", lambda: 3)
    assert _threads(["1", "all", "3"]) == [1, 3]
