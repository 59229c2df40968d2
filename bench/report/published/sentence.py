"""What `verdict --claim` prints: how a sentence was understood, the answer, and what was published of its network."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from bench.plain import to_plain
from bench.report.sheet import print_words
from bench.verdict.claim import Verdict
from bench.verdict.published.cited_source import SOURCE, ratios, read_figures
from bench.verdict.published.sentence import TWO_LAYER, Understood
from bench.words import number


def print_answer(console: Console, claim: Understood, run: str, verdict: Verdict) -> None:
    """The claim as it was understood, the answer of a run, and published figures where it holds none."""
    print_words(console, claim.words)
    reason = f": {verdict.reason}" if verdict.reason else ""
    print_words(console, f"{run}: {verdict.outcome}{reason}.")
    if words := published_words(claim):
        print_words(console, words)


def published_words(claim: Understood) -> str:
    """What the source that the tutorial cites has of this network; empty of the two-layer one."""
    if claim.network == TWO_LAYER:
        return ""
    found = ratios(read_figures()).query("network == @claim.network")
    if found.empty:
        return f"Published, {SOURCE}: no ratio of {claim.network}, which was not run on the CPU."
    best = found.sort_values("ratio").iloc[-1]
    cudnn = "without cuDNN" if best["cudnn"] == "none" else f"cuDNN {best['cudnn']}"
    reaching = int((found["ratio"] >= claim.threshold).sum())
    return (
        f"Published, {SOURCE}, over two Xeon E5-2630 v3: {number(found['ratio'].min())}-{number(best['ratio'])}x on "
        f"{claim.network}, most on the {best['card']} with {cudnn}; {reaching} of {len(found)} cells reach "
        f"{claim.threshold:g}x."
    )


def answer_values(claim: Understood, verdict: Verdict) -> dict[str, Any]:
    """As plain values for JSON."""
    return {"understood": to_plain(claim), "answer": to_plain(verdict), "published": published_words(claim) or None}
