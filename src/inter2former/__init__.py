"""Click on an object, get a pixel-accurate mask: Inter2Former on an ordinary CPU."""

from inter2former.predictor import Prediction, Predictor
from inter2former.prompt import Box, Click, Lasso, MaskPrompt, Scribble, Stroke
from inter2former.sam import SamPredictor

__all__ = [
    "Box",
    "Click",
    "Lasso",
    "MaskPrompt",
    "Prediction",
    "Predictor",
    "SamPredictor",
    "Scribble",
    "Stroke",
    "__version__",
]

__version__ = "0.1.0"
