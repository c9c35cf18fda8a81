"""The exceptions of this package.

    Inter2FormerError
    ├── HistoryError          there is nothing to undo or redo
    ├── ImageNotSetError      a prompt arrived before an image
    ├── ImageReadError        a file or array is no image we can use   (also a ValueError)
    ├── ImageWriteError       a mask or picture cannot be saved         (also an OSError)
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


class WeightsError(Inter2FormerError):
    """A checkpoint is missing, damaged, or does not fit the network."""


class DataError(Inter2FormerError):
    """A data set holds something that cannot be used; the message names the file."""
