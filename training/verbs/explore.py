from pathlib import Path
from typing import Any

from training.verbs.common import Arguments, add_source, add_verb, load

_TEXT = """\
look at the data: counts, samples, grey levels, mean digits, nearest classes, duplicates, oddities

Do this before training on data of your own: a class with few digits, labels that are wrong, pictures that are blank
or cut off show here, in pictures and in a short report (README.md) in the folder --out.

With --taught, pictures as a network is given them in training are drawn too, each under its label (taught.png): digits
augmented by the recipe's source of batches, those that code draws, cells of forms, and what is no digit. Look at them
before you train on them: what people cannot read teaches nothing.

  python -m training explore --taught ours"""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "explore", _run, _TEXT)
    add_source(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("explore"), metavar="FOLDER", help="where to write (default: explore)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the samples shown (default: 0)")
    parser.add_argument("--taught", metavar="ARCHITECTURE", help="also draw what this network is given in training")


def _run(arguments: Arguments) -> None:
    from training.architectures import find_architecture
    from training.explore import draw_taught, explore

    recipe = find_architecture(arguments.taught).recipe if arguments.taught else None
    dataset = load(arguments)
    facts = explore(dataset, arguments.out, arguments.seed)
    for name, part in facts["parts"].items():
        print(f"{name}: {part['n']:,} digits, by class {part['counts']}")
    nearest = facts["pairs"][0]
    print(f"nearest classes: {nearest['first']} and {nearest['second']}; duplicates: {facts['duplicates']}")
    if recipe:
        labels = draw_taught(dataset.train, recipe, arguments.out, arguments.seed)
        print(
            f"{arguments.out / 'taught.png'}: {len(labels)} pictures as {recipe.architecture} is taught, {recipe.batches}"
        )
    print(f"report: {arguments.out / 'README.md'}")
