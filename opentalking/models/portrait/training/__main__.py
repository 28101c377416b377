"""Train the viseme net, or measure weights.

    python -m opentalking.models.portrait.training train [--out FILE] [--seed N] [--iterations N]
    python -m opentalking.models.portrait.training evaluate [FILE …]
    python -m opentalking.models.portrait.training align FOLDER

`train` writes the shipped weights unless told otherwise. `evaluate` prints one Markdown table of all files given, of
the shipped weights if none is. `align` writes FOLDER/phones.json for the recordings whose words references.json has.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from opentalking.models.portrait.net import WEIGHTS, VisemeNet
from opentalking.models.portrait.training import corpus, festival, flite, recorded
from opentalking.models.portrait.training.evaluate import hearing, loudness_jaw, score
from opentalking.models.portrait.training.labelled import clip
from opentalking.models.portrait.training.learn import Recipe, train

RECORDINGS = Path(__file__).parents[4] / "tests" / "data" / "speech"
_REPORT_EVERY = 100


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m opentalking.models.portrait.training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train")
    training.add_argument("--out", type=Path, default=WEIGHTS)
    training.add_argument("--seed", type=int, default=Recipe.seed)
    training.add_argument("--iterations", type=int, default=Recipe.iterations)
    commands.add_parser("evaluate").add_argument("weights", type=Path, nargs="*", default=[WEIGHTS])
    commands.add_parser("align").add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    missing = flite.missing_packages() + festival.missing_packages()
    if missing and options.command != "align":
        print(f"voices are missing. Mend: apt-get install --no-install-recommends {' '.join(missing)}", file=sys.stderr)
        return 1
    if options.command == "align":
        recorded.align_folder(options.folder)
    elif options.command == "train":
        _train(replace(Recipe(), seed=options.seed, iterations=options.iterations), options.out)
    else:
        _evaluate(options.weights)
    return 0


def _train(recipe: Recipe, out: Path) -> None:
    began = time.monotonic()
    clips = [clip(speech) for speech in corpus.training_speech(recipe.seed, corpus.Amounts())]
    minutes = sum(len(c.visemes) for c in clips) / 6000
    print(f"{minutes:.0f} minutes of speech in {len(clips)} pieces, after {time.monotonic() - began:.0f} s", flush=True)
    losses: list[float] = []

    def report(iteration: int, loss: float) -> None:
        losses.append(loss)
        if len(losses) == _REPORT_EVERY:
            mean, elapsed = sum(losses) / len(losses), time.monotonic() - began
            print(f"{iteration + 1:5d} of {recipe.iterations}: loss {mean:.3f}, after {elapsed:.0f} s", flush=True)
            losses.clear()

    train(clips, recipe, report).save(out)
    print(f"wrote {out}")


def _evaluate(weights: list[Path]) -> None:
    speech = corpus.held_out_speech() | corpus.recorded_speech(RECORDINGS)
    print("| speech | seconds | weights | accuracy | jaw | wide | round | closures | false |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, spoken in speech.items():
        if not spoken:
            print(f"no speech for '{name}': its packages are not installed", file=sys.stderr)
            continue
        clips = [clip(one) for one in spoken]
        seconds = sum(len(c.visemes) for c in clips) / 100
        print(f"| {name} | {seconds:.0f} | loudness alone | | {loudness_jaw(clips):.2f} | | | | |")
        for path in weights:
            s = score(hearing(VisemeNet.load(path)), clips)
            cells = " | ".join(f"{v:.2f}" for v in (s.accuracy, s.jaw, s.wide, s.round, s.closures, s.false))
            print(f"| {name} | {seconds:.0f} | {path.stem} | {cells} |", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
