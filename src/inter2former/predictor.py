"""The object a person scripts: set an image, click, look, click again, undo.

Start reading here. One prediction goes: click -> reference map -> `Inter2Former.decode` -> mask logits in a box ->
clicks kept (`clicks/respect.py`) -> mask in original pixels. What happens at a prompt is in `session/steps.py`, what
undo and redo move through in `session/tree.py`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from inter2former.config import STRIDE
from inter2former.errors import HistoryError, ImageNotSetError
from inter2former.frame import WorkingFrame
from inter2former.images import load_image
from inter2former.machine import use_threads
from inter2former.model.inter2former import Inter2Former
from inter2former.prompt import Lasso, MaskPrompt, Points, Prompt, Scribble, Stroke
from inter2former.session.compiled_encoder import EncoderRuntime, Precision
from inter2former.session.encodings import Encodings
from inter2former.session.engine import Engine
from inter2former.session.prediction import Prediction
from inter2former.session.region import Region, fitted_region, refined, region_worth_encoding
from inter2former.session.tree import Session
from inter2former.session.verdicts import fitted_box, fitted_click

__all__ = ["Prediction", "Predictor"]

Line = Sequence[tuple[float, float]] | NDArray[Any]


class Predictor:
    """Segment one image at a time by clicks and other prompts.

    Safe to share between threads: one call at a time changes the session, reading `prediction` never waits. The same
    calls give the same masks.

    Example:
        >>> predictor = Predictor()
        >>> predictor.set_image("photo.jpg")
        >>> prediction = predictor.add_click(320, 240)
        >>> prediction = predictor.add_click(80, 60, positive=False)
        >>> prediction.mask.sum()
    """

    def __init__(
        self,
        preset: str = "inter2former-t",
        weights: str | os.PathLike[str] | None = None,
        size: int = 1024,
        threads: int | None = None,
        device: str = "cpu",
        *,
        cache: str | os.PathLike[str] | None = None,
        memory: int = 0,
        encoder: EncoderRuntime = "auto",
        precision: Precision = "auto",
    ) -> None:
        """Build the network and load its weights.

        Args:
            preset: name of the network, see `inter2former.config.PRESETS`.
            weights: a safetensors file; None: the weights that come with the package.
            size: the image's longest side in the network's input, in pixels, 16..4096.
            threads: threads of the whole process's tensor operations; None: leave as it is.
            device: where the network runs, as torch names it.
            cache: folder in which encoded images are kept, so that no process encodes an image twice; None: they are
                not. `inter2former precompute` fills it; at 1024 px an image takes 40 to 55 MB.
            memory: bytes of encoded images that are kept in memory beside the present one.
            encoder: what runs the image encoder, "auto", "torch" or "openvino"; "auto": OpenVINO where it is installed
                and far ahead, which is on processors with AVX-512, with `inter2former-b` in bfloat16 alone.
            precision: of the image encoder's arithmetic, "auto", "float32" or "bfloat16", see `Engine`.
        Raises:
            ValueError: an unknown preset, a number out of range, or an encoder that cannot be had here.
            MissingPackageError: OpenVINO is asked for and not installed.
            WeightsError: the weights are missing or do not fit.
        """
        use_threads(threads)
        self.engine = Engine.load(
            preset, weights, size=size, device=device, encodings=cache, encoder=encoder, precision=precision
        )
        self._encodings = Encodings(self.engine, memory)
        self._lock = threading.RLock()
        self._session: Session | None = None
        self._pixels: NDArray[np.uint8] | None = None

    @property
    def size(self) -> int:
        """The image's longest side in the network's input, in pixels."""
        return self.engine.size

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self.engine.device

    def set_image(self, image: str | os.PathLike[str] | Image.Image | NDArray[Any]) -> None:
        """Encode an image and begin a new session on it. If the image is refused, the old session stays.

        Args:
            image: a path, a PIL image or an array: (H, W, 3) uint8 RGB, or what else `inter2former.images.load_image`
                reads. 1..12000 pixels a side.
        Raises:
            ImageReadError: it is no image or cannot be used.
            TypeError: another type.
        """
        pixels = load_image(image)
        with self._lock:
            self._session = Session(self.engine, self._encodings.get(pixels))
            self._pixels = pixels

    def prefetch(self, image: str | os.PathLike[str] | Image.Image | NDArray[Any]) -> None:
        """Encode an image in the background, so that `set_image` with the same image waits less or not at all.

        The session on the present image goes on meanwhile; its clicks share the cores. What was made ahead stays in
        memory until it is asked for.

        Args:
            image: as `set_image` takes it; it is read before this returns.
        Raises:
            ImageReadError: it is no image or cannot be used.
            TypeError: another type.
        """
        self._encodings.prefetch(load_image(image))

    def add_click(self, x: float, y: float, positive: bool = True) -> Prediction:
        """Click on a pixel and segment again.

        Args:
            x: column in the original image; a fraction names the pixel it lies in.
            y: row in the original image, likewise.
            positive: True: the pixel belongs to the object; False: it does not.
        Returns:
            the new prediction. The clicked pixel is inside the mask after a positive click and outside after a
            negative one; so are the pixels of earlier clicks, unless a later click is so near that its disc covers
            them, or a later lasso or stroke says otherwise.
        Raises:
            ImageNotSetError: there is no image yet.
            ValueError: the click is outside the image, or on a pixel that a stroke painted otherwise.
        """
        with self._lock:
            session = self._require_session()
            return session.add(fitted_click(x, y, positive, *session.image_size))

    def add_box(self, left: float, top: float, right: float, bottom: float) -> Prediction:
        """Draw a box around the object and segment again.

        Args:
            left: first column of the box in the original image.
            top: first row.
            right: last column, at least `left`.
            bottom: last row, at least `top`.
        Raises:
            ImageNotSetError: there is no image yet.
            ValueError: a side is no number, the box is empty or lies outside the image.
        """
        with self._lock:
            session = self._require_session()
            return session.add(fitted_box(left, top, right, bottom, *session.image_size))

    def add_scribble(self, points: Line, positive: bool = True, radius: float | None = None) -> Prediction:
        """Draw a line over the object, or over what does not belong to it, and segment again.

        Args:
            points: (x, y) of the corners of the line in pixels of the original image, at least one; the line may leave
                the image.
            positive: True: the line runs over the object; False: it does not.
            radius: half the width of the line in pixels of the original image, at least 0.5; None: as thick as the
                disc of a click.
        Returns:
            the new prediction; all pixels in the middle of the line agree with it, now and later, with the exceptions
            that hold for clicks.
        Raises:
            ImageNotSetError: there is no image yet.
            ValueError: no points, a value that is no number or out of range, or a line outside the image.
        """
        with self._lock:
            session = self._require_session()
            return session.add(Scribble(_points(points), self._radius(session, radius), bool(positive)))

    def add_lasso(self, points: Line, positive: bool = True) -> Prediction:
        """Draw a closed line around the object, or around what does not belong to it, and segment again.

        Args:
            points: (x, y) of the corners in pixels of the original image, at least three; the last joins the first.
            positive: True: look for the object inside; False: nothing inside belongs to it.
        Returns:
            the new prediction.
        Raises:
            ImageNotSetError: there is no image yet.
            ValueError: fewer than three corners, a coordinate that is no number, or a lasso outside the image.
        """
        with self._lock:
            return self._require_session().add(Lasso(_points(points), bool(positive)))

    def paint(self, points: Line, radius: float, erase: bool = False) -> Prediction:
        """Paint or erase exactly these pixels; the rest of the mask stays as it is.

        Args:
            points: (x, y) of the corners of the stroke in pixels of the original image, at least one.
            radius: of the round tip in pixels of the original image, at least 0.5. A pixel is painted where its centre
                is at most this far from the line through the centres of the corners.
            erase: False: the pixels belong to the object; True: they do not.
        Returns:
            the new prediction. Its painted pixels stay so in every later mask until they are painted over, undone, or
            replaced by `set_mask`.
        Raises:
            ImageNotSetError: there is no image yet.
            ValueError: no points, a value that is no number or out of range, or a stroke outside the image.
        """
        with self._lock:
            return self._require_session().add(Stroke(_points(points), radius, bool(erase)))

    def set_mask(self, mask: NDArray[Any]) -> Prediction:
        """Take a mask as the answer so far, to be refined; earlier prompts of the session are dropped.

        Args:
            mask: (H, W) bool or numbers, non-zero: object; of the image's size.
        Returns:
            a prediction whose mask is the given one.
        Raises:
            ImageNotSetError: there is no image yet.
            ValueError: another size.
        """
        with self._lock:
            session = self._require_session()
            mask = np.asarray(mask)
            if mask.shape != (wanted := session.image_size[::-1]):
                raise ValueError(f"mask has shape {mask.shape}; the image is {wanted}")
            return session.add(MaskPrompt.of(mask))

    def resume(self, prompts: Iterable[Prompt]) -> Prediction | None:
        """Go to a whole list of prompts, wherever the session stands; what is known of it is not computed again.

        Args:
            prompts: all that shall be in force, oldest first, in pixels of the original image.
        Returns:
            the same prediction as giving them one by one after `reset`; None for no prompts.
        Raises:
            ImageNotSetError: there is no image yet.
            ValueError: a prompt does not fit the image or contradicts a stroke; the session stays where it was.
        """
        with self._lock:
            return self._require_session().resume(prompts)

    def refine(self, region: tuple[int, int, int, int] | None = None) -> Prediction | None:
        """Draw the edge of the present mask anew at the image's own resolution; takes as long as encoding an image.

        Worth it where the image is larger than the working size and the object is small in it. The session stays as
        it is: the next click goes on from the answer of the whole image, and may be refined again.

        Args:
            region: (left, top, right, bottom) of the part of the image that is looked at more closely, right and bottom
                being the first column and row outside; None: the surroundings of the mask.
        Returns:
            the present prediction with a finer mask; the present prediction itself where no region shows the object
            more finely; None before the first prompt.
        Raises:
            ImageNotSetError: there is no image yet.
            ValueError: an empty region, or one that leaves the image.
        """
        with self._lock:
            prediction = self._require_session().prediction
            if prediction is None:
                return None
            box = region_worth_encoding(prediction) if region is None else fitted_region(region, *self.image_size)
            if box is None:
                return prediction
            assert self._pixels is not None
            part = np.ascontiguousarray(self._pixels[box[1] : box[3], box[0] : box[2]])
            fine = refined(self.engine, Region(box[0], box[1], self._encodings.get(part)), prediction)
            return fine if fine.mask.any() else prediction

    def undo(self) -> Prediction | None:
        """Take the last prompt back.

        Returns:
            the prediction before it, None if it was the first.
        Raises:
            HistoryError: there is nothing to take back.
        """
        with self._lock:
            if self._session is None:
                raise HistoryError("nothing to undo: no prompt has been given on this image")
            return self._session.undo()

    def redo(self) -> Prediction:
        """Give the prompt that was taken back last again.

        Raises:
            HistoryError: nothing was taken back since the last new prompt.
        """
        with self._lock:
            if self._session is None:
                raise HistoryError("nothing to redo: no prompt was taken back since the last new one")
            return self._session.redo()

    def reset(self) -> None:
        """Forget all prompts; the image stays encoded."""
        with self._lock:
            if self._session is not None:
                self._session.reset()

    @property
    def prediction(self) -> Prediction | None:
        """The present answer; None before the first prompt."""
        session = self._session
        return None if session is None else session.prediction

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height of the image in pixels.

        Raises:
            ImageNotSetError: there is no image yet.
        """
        return self._require_session().image_size

    @property
    def session(self) -> Session:
        """The session on the present image, for what has no method here.

        Raises:
            ImageNotSetError: there is no image yet.
        """
        return self._require_session()

    def _require_session(self) -> Session:
        session = self._session
        if session is None:
            raise ImageNotSetError("there is no image yet; call set_image() first")
        return session

    def _radius(self, session: Session, radius: float | None) -> float:
        """The radius in original pixels; None: that of a click's disc."""
        if radius is not None:
            return radius
        frame = session.encoding.frame
        return max(self._network.config.clicks.inner_radius * frame.width / frame.content_width, 0.5)

    @property
    def _network(self) -> Inter2Former:
        return self.engine.network

    @property
    def _frame(self) -> WorkingFrame:
        session = self._session
        return WorkingFrame.fit(1, 1, size=self.size, stride=STRIDE) if session is None else session.encoding.frame


def _points(points: Line) -> Points:
    """Prompts read any pairs of numbers themselves."""
    return cast(Points, points)
