"""A claim in somebody's own words: what speedup, network, baseline, scope and card it speaks of (pure)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from bench.bounds.cards import Card, all_cards
from bench.cases.problem import TUTORIAL_SIZE, Size
from bench.errors import UsageError
from bench.tables.machine_words import accelerators
from bench.verdict.claim import UNTESTED, Claim, Finding, Verdict, often, verdict_by
from bench.verdict.contenders import BEST_GPU, BEST_GPU_TF32
from bench.verdict.judgement import Judgement, Question
from bench.verdict.ratios.speedup import PRIMARY

TWO_LAYER = "the tutorial's two-layer network"
EXAMPLES = "'50x on the tutorial's network', '123x on VGG16', '10x over numpy by throughput at 128x2000x200x20'"
SIZE = re.compile(r"\b([0-9]{1,12})\s*[x,]\s*([0-9]{1,12})\s*[x,]\s*([0-9]{1,12})\s*[x,]\s*([0-9]{1,12})\b")
THRESHOLD = re.compile(r"(?<![\w.])([0-9]+(?:\.[0-9]+)?)\s*(?:x(?!\w)|-?\s?fold\b|times\b)")
NETWORKS = (
    (re.compile(r"\bvgg[- ]?(16|19)\b"), "vgg{}"),
    (re.compile(r"\bresnet[- ]?(18|34|50|101|152|200)\b"), "resnet-{}"),
    (re.compile(r"\b(alexnet)\b"), "{}"),
    (re.compile(r"\b(?:googlenet|inception)(?:[- ]?v?1)?\b()"), "googlenet-v1{}"),
    (re.compile(r"\b(?:the )?(?:tutorial's|two-layer|2-layer|two layer)(?: (?:network|net|mlp))?()"), TWO_LAYER + "{}"),
    (re.compile(r"\b(?:mlp|multilayer perceptron)\b()"), TWO_LAYER + "{}"),
)
BASELINES = (
    (
        re.compile(r"\bnumpy (?:on|with) (?:one|1|a single) (?:core|thread)\b|\bsingle-thread(?:ed)? numpy\b"),
        "tutorial-1",
    ),
    (re.compile(r"\bnumpy\b"), "tutorial"),
    (re.compile(r"\b(?:best |fastest |same )?(?:cpus?|processors?)\b"), PRIMARY),
)
SCOPES = (
    (re.compile(r"\bthroughput\b|\bin a batch\b"), "throughput"),
    (re.compile(r"\bwhole program\b|\bprogram\b"), "program"),
    (re.compile(r"\b(?:whole )?loop\b"), "loop"),
    (re.compile(r"\blatency\b|\b(?:an |per )?iteration\b"), "iteration"),
)
TF32 = re.compile(r"\btf32\b")
FILLERS = frozenset(
    """a about an and are as at be by can card cards compared cuda deep fast faster for from get gets give gives gpu
    gpus graphics greater i in is it least modern more my net nets network networks neural nearly of often on or our
    over provide provides roughly run runs speedup speedups than that the this times to train training versus vs we
    will with against model models nvidia geforce tesla quicker size speed speeds""".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Understood:
    """What a sentence was understood to say. `size` and `card` are None where it names none."""

    text: str
    threshold: float
    network: str
    baseline: str
    contender: str
    scope: str
    size: Size | None
    card: str | None

    @property
    def words(self) -> str:
        """`understood: 123x; network vgg16; best-gpu over best-cpu by iteration`."""
        more = [f"at {self.size}" if self.size else "", f"on the card {self.card}" if self.card else ""]
        parts = (
            f"{self.threshold:g}x",
            f"network {self.network}",
            f"{self.contender} over {self.baseline} by {self.scope}",
            *filter(None, more),
        )
        return f"understood: {'; '.join(parts)}."

    @property
    def question(self) -> Question:
        """The question to a run; a network that no run holds is asked as the two-layer one."""
        return Question(Claim(self.text, "--claim", self.threshold), self.baseline, self.contender, self.scope)


def answer_to(claim: Understood, judgement: Judgement) -> Verdict:
    """What a run says to a claim; `judgement` is of the claim's own question.

    Of a size the finding there, else whether it is often so over the grid. Of a card only what was measured on it, or
    where no GPU was measured what its own published figures leave.
    """
    evidence = judgement.evidence
    if claim.network != TWO_LAYER:
        return Verdict(UNTESTED, f"this run measured {TWO_LAYER}, not {claim.network}")
    if claim.size is not None and claim.size not in evidence.sizes:
        there = ", ".join(map(str, evidence.sizes))
        return Verdict(UNTESTED, f"this run did not measure {claim.size}, only {there}")
    card = next((one for one in all_cards() if one.name == claim.card), None)
    if card is not None and any(not case.on_cpu for case in evidence.measured):
        models = accelerators(evidence.run.machine).values()
        if not any(map(card.is_called, models)):
            return Verdict(UNTESTED, f"the GPU of this run is {', '.join(models) or 'unknown'}, not {card.name}")
    findings = [_on(card, one, claim.threshold) for one in judgement.main]
    if claim.size is None:
        return often(findings)
    return next(one.verdict for one in findings if one.size == claim.size)


def _on(card: Card | None, one: Finding, threshold: float) -> Finding:
    """The finding, its bound that of one card."""
    if card is None or one.reach is None:
        return one
    bound = replace(one.reach, cards=tuple(each for each in one.reach.cards if each.card == card.name))
    why = one.verdict.reason.partition("; at most ")[0]
    return replace(one, reach=bound, verdict=verdict_by(bound, threshold, why))


def understand(text: str) -> Understood:
    """The claim that a sentence makes. Raises UsageError for what is not understood, with examples."""
    rest = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").replace("\N{MULTIPLICATION SIGN}", "x")
    rest, size = _size(rest, text)
    rest, threshold = _threshold(rest, text)
    rest, network = _first(rest, NETWORKS, TWO_LAYER)
    rest, card = _card(rest)
    rest, baseline = _first(rest, BASELINES, PRIMARY)
    rest, scope = _first(rest, SCOPES, "iteration")
    tf32 = bool(TF32.search(rest))
    rest = TF32.sub(" ", rest)
    unknown = [word for word in re.findall(r"[^\s,.;:!?\"()]+", rest) if word not in FILLERS]
    if unknown:
        raise _not_understood(text, f"{unknown[0]!r} is not understood")
    if size and network != TWO_LAYER:
        raise _not_understood(text, f"{network} has no size such as {size}")
    if size is None and "tutorial's size" in text.lower():
        size = TUTORIAL_SIZE
    name = card.name if card else None
    return Understood(text, threshold, network, baseline, BEST_GPU_TF32 if tf32 else BEST_GPU, scope, size, name)


def _size(rest: str, text: str) -> tuple[str, Size | None]:
    found = SIZE.search(rest)
    if found is None:
        return rest, None
    size = Size(*map(int, found.groups()))
    if not all(1 <= side <= 10**9 for side in size):
        raise _not_understood(text, f"the size {found.group(0)} has a side that is none of 1 to 1,000,000,000")
    return SIZE.sub(" ", rest), size


def _threshold(rest: str, text: str) -> tuple[str, float]:
    found = THRESHOLD.findall(rest)
    if len(found) != 1:
        what = "there is no speedup in it" if not found else f"there are {len(found)} speedups in it"
        raise _not_understood(text, what)
    threshold = float(found[0])
    if not (math.isfinite(threshold) and threshold > 0):
        raise _not_understood(text, f"{found[0]}x is no speedup above 0")
    return THRESHOLD.sub(" ", rest), threshold


def _first(rest: str, kinds: tuple[tuple[re.Pattern[str], str], ...], default: str) -> tuple[str, str]:
    """What the first of `kinds` that is found means, and the rest without it."""
    for pattern, meaning in kinds:
        if found := pattern.search(rest):
            return pattern.sub(" ", rest), meaning.format(*found.groups())
    return rest, default


def _card(rest: str) -> tuple[str, Card | None]:
    """The card that is named, in full or in short, the longest name first."""
    called = [(name, card) for card in all_cards() for name in {card.name, card.also or card.name}]
    for name, card in sorted(called, key=lambda one: -len(one[0])):
        words = re.findall(r"[a-z0-9]+", name.lower())
        pattern = re.compile(r"\b" + r"[\s()-]*".join(words) + r"\b\)?")
        if pattern.search(rest):
            return pattern.sub(" ", rest), card
    return rest, None


def _not_understood(text: str, what: str) -> UsageError:
    return UsageError(f"--claim {text!r}: {what}; say it like {EXAMPLES}")
