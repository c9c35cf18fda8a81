"""The exceptions of this package.

    Inter2FormerError
    ├── HistoryError          there is nothing to undo or redo
    ├── ImageNotSetError      a prompt arrived before an image
    ├── ImageReadError        a file or array is no image we can use   (also a ValueError)
    ├── ImageWriteError       a mask or picture cannot be saved         (also an OSError)
    ├── KernelError           the native kernels are not built, or not for this processor
    ├── MissingPackageError   an optional package is not installed      (also an ImportError)
    ├── RunError              a run's folder is damaged, in use, or belongs to another run
    ├── ProjectError          a project folder cannot be used as it is; the message names the file
    │   └── ProjectLockedError    somebody else is writing to it
    ├── WeightsError          a checkpoint is missing, damaged or of another network
    └── DataError             a data set holds something unusable; the message names the file

Wrong arguments raise the built-in `ValueError` or `TypeError`. Every message says what came, what was wanted and
what to do.
"""

__all__ = [
    "DataError",
    "HistoryError",
    "ImageNotSetError",
    "ImageReadError",
    "ImageWriteError",
    "Inter2FormerError",
    "KernelError",
    "MissingPackageError",
    "ProjectError",
    "ProjectLockedError",
    "RunError",
    "WeightsError",
]


class Inter2FormerError(Exception):
    """Base of all exceptions that this package defines."""


class HistoryError(Inter2FormerError):
    """There is nothing to undo or to redo."""


class ImageNotSetError(Inter2FormerError):
    """A prompt was given before `set_image`."""


class ImageReadError(Inter2FormerError, ValueError):
    """An image cannot be read or cannot be used."""


class ImageWriteError(Inter2FormerError, OSError):
    """A mask or picture cannot be saved."""


class KernelError(Inter2FormerError):
    """The native kernels cannot run: not compiled, or asked for by a name that this machine does not have."""


class MissingPackageError(Inter2FormerError, ImportError):
    """An optional package is not installed, or too old; the message names it and the extra that brings it."""


class RunError(Inter2FormerError):
    """The folder of an evaluation or training is damaged, unfinished, in use, or belongs to another run."""


class ProjectError(Inter2FormerError):
    """A project folder, or an image of it, cannot be used as it is; the message names the file."""


class ProjectLockedError(ProjectError):
    """Somebody else is writing to the project folder; the message names them."""


class WeightsError(Inter2FormerError):
    """A checkpoint is missing, damaged, or does not fit the network."""


class DataError(Inter2FormerError):
    """A data set holds something that cannot be used; the message names the file."""
