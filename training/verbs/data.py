from pathlib import Path
from typing import Any

from training.verbs.common import Arguments, add_verb, data_folder

_TEXT = """\
download MNIST from its public mirrors

Files that are there and right are left alone; a download that was cut goes on where it stopped. QMNIST's label file
comes along: it tells who wrote each digit, so that validation can be split by writer.

Other sources need no download; give any of these to the other verbs with --data:

  FOLDER            MNIST's four IDX files, packed (checked against their published MD5) or not
  FOLDER            EMNIST's digits: emnist-digits-train-images-idx3-ubyte.gz and the other three
  mnist.npz         as Keras has it: x_train, y_train, x_test, y_test
  train.csv         as Kaggle has it: label, then 784 pixels; or the folder it lies in
  FOLDER            your own pictures in folders 0 to 9, each read as the service would read it

Of the last two, a tenth of every class is kept for the test part."""


def add(verbs: Any) -> None:
    parser = add_verb(verbs, "data", _run, _TEXT)
    parser.add_argument(
        "--folder",
        type=Path,
        default=data_folder(),
        help="where to put the files (default: $DIGITS_DATA_DIR, else data)",
    )


def _run(arguments: Arguments) -> None:
    from training.download import download_mnist

    print("\n".join(download_mnist(arguments.folder)))
