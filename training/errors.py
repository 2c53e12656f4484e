"""What can go wrong offline, along the way from data to released model.

    data --train--> run --evaluate, calibrate--> run --export--> ONNX --release--> models/
     |       |       |                                  |                |
     |       |       RunError                           ExportError      ReleaseError
     DataError   RecipeError

Each message is one line that names what is wrong and what is allowed; the command line prints it and exits with 2.
"""


class TrainingError(Exception):
    """A verb of `python -m training` that cannot do what was asked."""


class DataError(TrainingError):
    """A data file is missing, truncated, of another format or not the published one."""


class RecipeError(TrainingError):
    """An unknown architecture, or a recipe that cannot be followed."""


class RunError(TrainingError):
    """A run folder is missing, broken, or lacks what an earlier verb should have put there."""


class ExportError(TrainingError):
    """The exported graph does not answer as the network does, or holds operations it should not."""


class ReleaseError(TrainingError):
    """A run that is not good enough, or not whole enough, to be released."""
