"""A session: all prompts ever given on one image as a tree, and a place in it.

Every node is a list of prompts: the path to it. Adding a prompt goes down, undo goes up, redo goes down again where
undo came from; giving a whole list goes to its node wherever the session stands. Answers are kept within a budget of
bytes; one that has left is computed again when its node is visited, from the state of the node above, and is the same.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from inter2former.errors import HistoryError
from inter2former.prompt import Prompt, Stroke
from inter2former.session.cache import ByteCache
from inter2former.session.engine import Encoding, Engine
from inter2former.session.prediction import Prediction
from inter2former.session.steps import State, advance, beginning
from inter2former.session.verdicts import fitted

__all__ = ["Session", "Shelf"]

MEBIBYTE = 1 << 20


class _Node:
    """A list of prompts; compared by identity, so that it can be a key."""

    __slots__ = ("ahead", "children", "depth", "parent", "prompt")

    def __init__(self, parent: _Node | None = None, prompt: Prompt | None = None) -> None:
        self.parent = parent
        self.prompt = prompt
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.children: dict[Prompt, _Node] = {}
        self.ahead: _Node | None = None  # where redo leads

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """From the first to this node's own."""
        return tuple(node.prompt for node in reversed(list(self.upwards())) if node.prompt is not None)

    def upwards(self) -> Iterator[_Node]:
        """This node, the one above it, and so on to the root."""
        node: _Node | None = self
        while node is not None:
            yield node
            node = node.parent


class Shelf:
    """Where sessions keep answers and states; one shelf may serve many sessions and bounds what they take together."""

    def __init__(self, predictions: int = 256 * MEBIBYTE, states: int = 64 * MEBIBYTE) -> None:
        """Set the budgets.

        Args:
            predictions: bytes for masks and logits.
            states: bytes for packed reference maps and painted pixels, some kilobytes per prompt.
        Raises:
            ValueError: a negative budget.
        """
        self.predictions: ByteCache[_Node, Prediction] = ByteCache(predictions)
        self.states: ByteCache[_Node, State] = ByteCache(states)

    @property
    def used(self) -> int:
        """Bytes taken by all sessions on this shelf."""
        return self.predictions.used + self.states.used


class _Place(NamedTuple):
    """Where a session stands; replaced as a whole, so that a reader sees a node with its own answer."""

    node: _Node
    prediction: Prediction | None


class Session:
    """Prompts on one encoded image, with undo, redo and branches.

    Safe to share between threads: one call at a time changes the session, reading `prediction` and `prompts` never
    waits. The same prompts give the same answer, whatever way the session took to them.
    """

    MOST_NODES = 20_000
    """When the tree has more nodes, those without a kept state, off the present path, are forgotten."""

    def __init__(self, engine: Engine, encoding: Encoding, shelf: Shelf | None = None) -> None:
        """Begin without prompts.

        Args:
            engine: the network.
            encoding: of the image, made by this engine.
            shelf: where answers are kept; None: one of its own with the default budgets.
        """
        self.engine = engine
        self.encoding = encoding
        self.shelf = Shelf() if shelf is None else shelf
        self._lock = threading.RLock()
        self._beginning = beginning(engine, encoding)
        self._root = _Node()
        self._nodes = 1
        self._place = _Place(self._root, None)

    @property
    def prediction(self) -> Prediction | None:
        """The present answer; None before the first prompt."""
        return self._place.prediction

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts in force, oldest first."""
        return self._place.node.prompts

    @property
    def undone(self) -> tuple[Prompt, ...]:
        """The prompts that redo would give again, the next one first."""
        ahead = []
        node = self._place.node.ahead
        while node is not None and node.prompt is not None:
            ahead.append(node.prompt)
            node = node.ahead
        return tuple(ahead)

    @property
    def image_size(self) -> tuple[int, int]:
        """Width and height of the image in pixels."""
        return self.encoding.frame.width, self.encoding.frame.height

    def add(self, prompt: Prompt) -> Prediction:
        """Give one more prompt.

        Returns:
            the answer to all prompts in force.
        Raises:
            ValueError: the prompt does not fit the image, or contradicts a stroke; nothing changes then.
        """
        with self._lock:
            node, prediction = self._after(self._place.node, prompt, self._place.prediction)
            # A prompt begins a new future, even where it repeats one that was taken back.
            node.ahead = None
            self._place.node.ahead = node
            self._place = _Place(node, prediction)
            self._prune()
            return prediction

    def undo(self) -> Prediction | None:
        """Take the last prompt back.

        Returns:
            the answer to the prompts before it; None where it was the first.
        Raises:
            HistoryError: there is no prompt.
        """
        with self._lock:
            node = self._place.node
            if node.parent is None:
                raise HistoryError("nothing to undo: no prompt has been given on this image")
            prediction = self._recall(node.parent)
            node.parent.ahead = node
            self._place = _Place(node.parent, prediction)
            return prediction

    def redo(self) -> Prediction:
        """Give the prompt that was taken back last again.

        Raises:
            HistoryError: nothing was taken back since the last new prompt.
        """
        with self._lock:
            node = self._place.node.ahead
            if node is None:
                raise HistoryError("nothing to redo: no prompt was taken back since the last new one")
            prediction = self._recall(node)
            assert prediction is not None
            self._place = _Place(node, prediction)
            return prediction

    def resume(self, prompts: Iterable[Prompt], undone: Sequence[Prompt] = ()) -> Prediction | None:
        """Go to a list of prompts: on from the longest part of it that is known, the rest is replayed.

        Args:
            prompts: all prompts that shall be in force, oldest first.
            undone: prompts that `redo` shall give next, in this order; they are computed when redo asks for them.
        Returns:
            the answer; None for no prompts.
        Raises:
            ValueError: a prompt does not fit the image, or contradicts a stroke; the session stays where it was.
        """
        with self._lock:
            width, height = self.image_size
            wanted = [fitted(prompt, width, height) for prompt in prompts]
            later = [fitted(prompt, width, height) for prompt in undone]
            node, known = self._root, 0
            while known < len(wanted) and wanted[known] in node.children:
                node, known = node.children[wanted[known]], known + 1
            prediction = self._recall(node)
            for prompt in wanted[known:]:
                node, prediction = self._after(node, prompt, prediction)
            self._set_ahead(node, later)
            self._place = _Place(node, prediction)
            self._prune()
            return prediction

    def reset(self) -> None:
        """Forget all prompts and all branches; the image stays encoded."""
        with self._lock:
            self.close()
            self._root = _Node()
            self._nodes = 1
            self._place = _Place(self._root, None)

    def close(self) -> None:
        """Take everything of this session off the shelf; it comes back when it is needed."""
        nodes = list(self._all_nodes())
        self.shelf.predictions.forget(nodes)
        self.shelf.states.forget(nodes)

    def continuations(self) -> tuple[tuple[Prompt, ...], ...]:
        """Every list of prompts that was ever given after the present one, the branches: oldest first."""
        with self._lock:
            here = self._place.node
            leaves = [node for node in self._all_nodes(here) if not node.children and node is not here]
            return tuple(leaf.prompts[here.depth :] for leaf in leaves)

    def _after(self, node: _Node, prompt: Prompt, prediction: Prediction | None) -> tuple[_Node, Prediction]:
        """The node below for this prompt, made and computed where it is new. `prediction` is the answer at `node`."""
        prompt = fitted(prompt, *self.image_size)
        child = node.children.get(prompt)
        if child is not None:
            answer = self._recall(child)
            assert answer is not None
            return child, answer
        child = _Node(node, prompt)
        state, answer = advance(self.engine, self.encoding, self._state(node), prediction, child.prompts)
        node.children[prompt] = child
        self._nodes += 1
        self._keep(child, state, answer)
        return child, answer

    def _state(self, node: _Node) -> State:
        if node is self._root:
            return self._beginning
        return self.shelf.states.get(node) or self._replay(node)[0]

    def _recall(self, node: _Node) -> Prediction | None:
        """The answer at a node, computed again where it has left the shelf."""
        if node is self._root:
            return None
        return self.shelf.predictions.get(node) or self._replay(node)[1]

    def _replay(self, node: _Node) -> tuple[State, Prediction]:
        """Compute a node again, from the nearest node above of which enough is still there."""
        missing = [node]
        for above in node.upwards():
            if above is node:
                continue
            if above is self._root:
                state, prediction = self._beginning, None
                break
            kept, prediction = self.shelf.states.get(above), self.shelf.predictions.get(above)
            # Only a stroke builds on the answer before it, all else on the reference map.
            if kept is not None and (prediction is not None or not isinstance(missing[-1].prompt, Stroke)):
                state = kept
                break
            missing.append(above)
        for below in reversed(missing):
            state, prediction = advance(self.engine, self.encoding, state, prediction, below.prompts)
            self._keep(below, state, prediction)
        assert prediction is not None
        return state, prediction

    def _keep(self, node: _Node, state: State, prediction: Prediction) -> None:
        self.shelf.states.put(node, state, state.nbytes)
        self.shelf.predictions.put(node, prediction, prediction.nbytes)

    def _set_ahead(self, node: _Node, prompts: Sequence[Prompt]) -> None:
        """Let redo lead along these prompts."""
        for prompt in prompts:
            below = node.children.get(prompt)
            if below is None:
                below = node.children[prompt] = _Node(node, prompt)
                self._nodes += 1
            node.ahead = below
            node = below
        node.ahead = None

    def _all_nodes(self, start: _Node | None = None) -> Iterator[_Node]:
        pending = [self._root if start is None else start]
        while pending:
            node = pending.pop()
            yield node
            pending.extend(reversed(node.children.values()))

    def _prune(self) -> None:
        """Forget old branches of which nothing but the prompts is left."""
        if self._nodes <= self.MOST_NODES:
            return
        kept = set(self._place.node.upwards())
        ahead = self._place.node.ahead
        while ahead is not None:
            kept.add(ahead)
            ahead = ahead.ahead
        for node in self._all_nodes():
            if node in self.shelf.states:
                kept.update(node.upwards())
        for node in list(self._all_nodes()):
            if node.ahead not in kept:
                node.ahead = None
            node.children = {prompt: child for prompt, child in node.children.items() if child in kept}
        self._nodes = len(kept)
