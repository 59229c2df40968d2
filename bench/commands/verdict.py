"""The command `verdict`: is the 50x claim true on the machine of a run, and in the source that it cites."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from bench.commands._common import DONE, FOLDERS, NO, OPEN, AsJson, alone, console, evidence_of, status
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.verdict.claim import Verdict
    from bench.verdict.judgement import Judgement, Question


AT_LEAST = "the speedup that the claim takes  [default: 50]"
CLAIM = "a claim in your own words, such as '123x on VGG16'"
BASELINE = "show this baseline alone  [default: judge by best-cpu, show all]"
CONTENDER = "best-gpu, best-gpu-tf32, a style or one case  [default: best-gpu]"
SCOPE = "iteration, throughput, loop or program  [default: iteration]"
ALL = "every baseline and scope, crossovers, break-even, the method"


def verdict(
    folders: Annotated[list[Path] | None, Argument(metavar="DIR...", help=FOLDERS)] = None,
    at_least: Annotated[float | None, Option(metavar="X", help=AT_LEAST)] = None,
    baseline: Annotated[str | None, Option(metavar="NAME", help=BASELINE)] = None,
    contender: Annotated[str | None, Option(metavar="NAME", help=CONTENDER)] = None,
    scope: Annotated[str | None, Option(metavar="NAME", help=SCOPE)] = None,
    claim: Annotated[str | None, Option(metavar="WORDS", help=CLAIM)] = None,
    everything: Annotated[bool, Option("--all", help=ALL)] = False,
    published: Annotated[bool, Option("--published", help="audit the source that the claim cites")] = False,
    as_json: AsJson = False,
) -> int:
    """Is the claim true here? A row a size; all else with --all.

    Often: at half or more of the six sizes of the preset sweep; sizes that were not measured leave it open.

    Exit code 0 supported, 1 refuted or out of reach, 3 undecided or untested, 2 bad input.
    """
    options = {"--at-least": at_least, "--baseline": baseline, "--contender": contender, "--scope": scope}
    if published:
        if folders:
            raise UsageError(f"--published audits the claim's own source: leave out {folders[0]}")
        alone({**options, "--at-least": None, "--claim": claim}, "--published audits the claim's own source")
        return _published(at_least, as_json=as_json)
    if not folders:
        raise UsageError("verdict: name a run folder, or ask for --published; make a run with: fiftyx run --out DIR")
    if networks := _of_networks(folders):
        alone({**options, "--claim": claim}, f"{networks[0]} holds networks that are held against their source alone")
        return _cnn(networks, as_json=as_json)
    if claim is not None:
        alone(options, "--claim says that itself")
        return _answers(folders, claim, everything=everything, as_json=as_json)
    return _verdicts(folders, _question(at_least, baseline, contender, scope), everything=everything, as_json=as_json)


def _of_networks(folders: Sequence[Path]) -> list[Path]:
    """The folders, if they hold other networks than the tutorial's. Raises UsageError where only some do."""
    from bench.verdict.published.cnn import is_of_networks

    found = [folder for folder in folders if is_of_networks(folder)]
    if found and len(found) < len(folders):
        raise UsageError(f"{found[0]} holds other networks than the tutorial's: ask for it alone")
    return found


def _cnn(folders: Sequence[Path], *, as_json: bool) -> int:
    from bench.report.published.cnn import cnn_values, print_cnn
    from bench.verdict.published.cnn import read_cnn

    found = [read_cnn(folder) for folder in folders]
    if as_json:
        print(json.dumps({"networks": [cnn_values(one) for one in found]}, indent=1, allow_nan=False))
    else:
        for one in found:
            print_cnn(console(), one)
    return exit_code([one.verdict for one in found])


def _question(at_least: float | None, baseline: str | None, contender: str | None, scope: str | None) -> Question:
    from bench.verdict.claim import at_least as claim_of
    from bench.verdict.claim import known_baseline, known_scope
    from bench.verdict.contenders import BEST_GPU
    from bench.verdict.judgement import Question
    from bench.verdict.ratios.speedup import PRIMARY

    return Question(
        claim=claim_of(at_least),
        baseline=known_baseline(baseline or PRIMARY),
        contender=contender or BEST_GPU,
        scope=known_scope(scope or "iteration"),
        only=baseline is not None,
    )


def _verdicts(folders: Sequence[Path], question: Question, *, everything: bool, as_json: bool) -> int:
    from bench.report.verdict import print_judgement
    from bench.verdict.judgement import as_values

    judgements = [_judgement(folder, question) for folder in folders]
    if as_json:
        _print_json("verdicts", judgements, map(as_values, judgements))
    else:
        to = console()
        for index, judgement in enumerate(judgements):
            if index:
                to.print()
            print_judgement(to, judgement, everything=everything)
    return exit_code([one.verdict for one in judgements])


def _answers(folders: Sequence[Path], text: str, *, everything: bool, as_json: bool) -> int:
    from bench.report.published.sentence import answer_values, print_answer
    from bench.report.verdict import print_judgement
    from bench.verdict.published.sentence import TWO_LAYER, answer_to, understand

    claim = understand(text)
    judgements = [_judgement(folder, claim.question) for folder in folders]
    answers = [answer_to(claim, one) for one in judgements]
    if as_json:
        _print_json("answers", judgements, (answer_values(claim, answer) for answer in answers))
    else:
        for one, answer in zip(judgements, answers, strict=True):
            print_answer(console(), claim, one.evidence.run.name, answer)
            if claim.network == TWO_LAYER and (everything or not (claim.size or claim.card)):
                print_judgement(console(), one, everything=everything)
    return exit_code(answers)


def _print_json(name: str, judgements: Sequence[Judgement], found: Iterable[Mapping[str, object]]) -> None:
    """Of each run its name, its machine and what was found."""
    from bench.report.verdict import machine_values

    runs = [one.evidence.run for one in judgements]
    values = [{"run": run.name, **machine_values(run.machine), **one} for run, one in zip(runs, found, strict=True)]
    print(json.dumps({name: values}, indent=1, allow_nan=False))


def _judgement(folder: Path, question: Question) -> Judgement:
    evidence = evidence_of(folder)
    try:
        with status() as say:
            say(f"judging {folder}")
            from bench.verdict.judgement import judgement_of

            return judgement_of(evidence, question)
    except UsageError as error:
        raise UsageError(f"{folder}: {error}") from error


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """Of several runs the most sobering: refuted or out of reach, then undecided or untested, then supported."""
    from bench.verdict.claim import OUT_OF_REACH, REFUTED, SUPPORTED

    outcomes = {one.outcome for one in verdicts}
    if outcomes & {REFUTED, OUT_OF_REACH}:
        return NO
    return DONE if outcomes == {SUPPORTED} else OPEN


def _published(at_least: float | None, *, as_json: bool) -> int:
    from bench.report.published.cited_source import audit_values, print_audit
    from bench.report.published.other_audits import other_values, print_others
    from bench.verdict.claim import at_least as claim_of
    from bench.verdict.published.cited_source import read_figures

    figures, threshold = read_figures(), claim_of(at_least).threshold
    if as_json:
        values = {**audit_values(figures, threshold), "others": other_values(threshold)}
        print(json.dumps(values, indent=1, allow_nan=False))
    else:
        print_audit(console(), figures, threshold)
        print_others(console(), threshold)
    return DONE
