"""Tests of bench.verdict.published.sentence: claims in words, what is not understood, and what a run answers."""

import json
import math
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.bounds.cards import all_cards
from bench.cases.problem import TUTORIAL_SIZE, Size
from bench.cli import main
from bench.errors import UsageError
from bench.tests.planted import planted, write_run
from bench.tests.runs import evidence_of
from bench.verdict.claim import OUT_OF_REACH, REFUTED, SUPPORTED, UNTESTED
from bench.verdict.judgement import judgement_of
from bench.verdict.published.sentence import TWO_LAYER, answer_to, understand

ONE, GPU = ("numpy_in_place", "cpu", "float32", 1), ("torch_tensors", "cuda:0", "float32", 1)


@given(
    speedup=st.floats(0.1, 1e5).map(lambda one: float(f"{one:.3g}")),
    unit=st.sampled_from(["x", " x", " times", "-fold"]),
    network=st.sampled_from(
        [("VGG16", "vgg16"), ("VGG-19", "vgg19"), ("ResNet-50", "resnet-50"), ("resnet152", "resnet-152"),
         ("the tutorial's network", TWO_LAYER), ("AlexNet", "alexnet")]
    ),
    baseline=st.sampled_from(
        [("", "best-cpu"), (" over the best CPU", "best-cpu"), (" over numpy", "tutorial"),
         (" against numpy on one core", "tutorial-1")]
    ),
    scope=st.sampled_from(
        [("", "iteration"), (" by latency", "iteration"), (" by throughput", "throughput"),
         (" in the whole loop", "loop"), (" for the whole program", "program")]
    ),
    card=st.sampled_from([None, *(one.name for one in all_cards())]),
)  # fmt: skip
def test_a_sentence_of_known_parts_is_understood_in_each(speedup, unit, network, baseline, scope, card):
    on = f" on an {card}" if card else ""
    found = understand(f"A GPU is {speedup:.6f}{unit} as fast on {network[0]}{on}{baseline[0]}{scope[0]}")
    assert math.isclose(found.threshold, speedup, rel_tol=1e-3)
    assert (found.network, found.baseline, found.scope, found.card) == (network[1], baseline[1], scope[1], card)


def test_the_tutorials_own_sentence_is_understood():
    found = understand("for modern deep neural networks, GPUs often provide speedups of 50x or greater")
    assert (found.threshold, found.network, found.baseline) == (50, TWO_LAYER, "best-cpu")


@given(sides=st.tuples(*[st.integers(1, 10**9)] * 4), speedup=st.integers(1, 10**4))
def test_a_size_is_no_speedup(sides, speedup):
    size = Size(*sides)
    found = understand(f"{speedup}x at {size}")
    assert (found.size, found.threshold) == (size, speedup)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no speedup"),
        ("GPUs are fast", "no speedup"),
        ("10x or 20x", "2 speedups"),
        ("0x on VGG16", "no speedup above 0"),
        ("50x on FooNet", "'foonet' is not understood"),
        ("never 50x", "'never' is not understood"),
        ("at most 50x", "'most' is not understood"),
        ("50x slower than numpy", "'slower' is not understood"),
        ("50x on VGG16 at 1x2x3x4", "vgg16 has no size"),
        ("50x at 0x1x1x1", "a side"),
    ],
)
def test_what_is_not_understood_is_said_with_examples(text, what):
    with pytest.raises(UsageError, match=what) as raised:
        understand(text)
    assert "123x on VGG16" in str(raised.value)


@given(st.one_of(st.text(max_size=60), st.text("0123456789x., -of", max_size=60), st.just("9" * 5000 + "x")))
def test_any_text_is_understood_or_refused(text):
    with suppress(UsageError):
        assert understand(text).threshold > 0


def answer(text, evidence):
    claim = understand(text)
    return answer_to(claim, judgement_of(evidence, claim.question))


def test_a_network_that_the_run_does_not_hold_is_untested():
    found = answer("123x on VGG16", evidence_of(planted([ONE], [TUTORIAL_SIZE])))
    assert found.outcome == UNTESTED
    assert "not vgg16" in found.reason


@settings(max_examples=30, deadline=None)
@given(threshold=st.integers(1, 10**5))
def test_of_a_size_and_a_card_the_answer_is_that_of_the_cards_own_bound(threshold):
    evidence = evidence_of(planted([ONE], [TUTORIAL_SIZE]))
    claim = understand(f"{threshold}x on a T4 at {TUTORIAL_SIZE}")
    judgement = judgement_of(evidence, claim.question)
    reach = judgement.main[0].reach
    assert reach is not None
    most = next(one.at_most for one in reach.cards if one.card == "T4")
    assert answer_to(claim, judgement).outcome == (OUT_OF_REACH if most < threshold else UNTESTED)


def test_where_a_gpu_was_measured_it_answers_and_another_card_is_not_tested():
    evidence = evidence_of(planted([ONE, GPU], [TUTORIAL_SIZE]), machine={"devices": {"cuda:0": {"model": "Tesla T4"}}})
    ratio = next(
        one.ratio for one in evidence.by_iteration() if not one.contender.on_cpu and one.baseline == "best-cpu"
    )
    assert answer(f"{ratio.low / 2:.2f}x at {TUTORIAL_SIZE} on a T4", evidence).outcome == SUPPORTED
    assert answer(f"{ratio.high * 2:.2f}x at {TUTORIAL_SIZE}", evidence).outcome == REFUTED
    other = answer(f"{ratio.low / 2:.2f}x at {TUTORIAL_SIZE} on an H200", evidence)
    assert (other.outcome, "Tesla T4, not H200" in other.reason) == (UNTESTED, True)
    assert answer("50x at 1x1x1x1", evidence).outcome == UNTESTED


@pytest.mark.usefixtures("handlers")
def test_the_command_answers_with_its_exit_code_and_as_json(tmp_path, capsys):
    folder = str(write_run(tmp_path / "one", planted([ONE], [TUTORIAL_SIZE])))
    assert main(["verdict", folder, "--claim", "123x on VGG16"]) == 3
    assert "cells reach 123x" in " ".join(capsys.readouterr().out.split())
    assert main(["verdict", folder, "--claim", "1000000x at the tutorial's size", "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["answers"]
    assert found["understood"]["threshold"] == 1e6
    assert found["answer"]["outcome"] == OUT_OF_REACH
    assert main(["verdict", folder, "--claim", "hello"]) == 2
    assert main(["verdict", folder, "--claim", "5x", "--at-least", "5"]) == 2
