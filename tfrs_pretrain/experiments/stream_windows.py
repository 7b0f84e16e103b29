"""Windows of a stream, and the four windows of the dataset of each."""

from __future__ import annotations

import datetime

from tfrs_pretrain.config import Config, Window, Windows
from tfrs_pretrain.experiments.definition import Stream

Bound = int | datetime.datetime
UNITS = {"d": "days", "h": "hours"}


class StreamWindows:
    """Consecutive windows of equal length, numbered from 1.

    The ranker of window k is trained on window k and judged on window k + 1.

    Args:
      stream: section ``stream`` of the experiment.
      config: its pretraining window starts the vocabularies and Stage I.
    """

    def __init__(self, stream: Stream, config: Config):
        self._stream, self._windows = stream, config.windows

    def window(self, number: int) -> Window:
        """Return one window; numbers after the last continue the sequence."""
        return Window(start=self._start(number), end=self._start(number + 1))

    def windows_of_dataset(self, number: int, *, sliding: int = 1) -> Windows:
        """Return the windows of the dataset of one window.

        Its vocabularies and Stage I see engagements before the window: all for the first one, and those of the window
        before for the others, whose dataset extends the one before. The judged window takes the place of validation.
        The test window follows and is never scored.

        Args:
          number: number of the window to train on.
          sliding: number of windows to train on, of which it is the last. Above 1, the pretraining window overlaps
            them, so that the vocabularies are those of the dataset that trains on one window.
        """
        first = max(1, number - sliding + 1)
        pretrain = self.window(number - 1) if number > 1 else Window(
            start=self._windows.pretrain.start, end=self._start(1))
        return Windows(pretrain=pretrain, train=Window(start=self._start(first), end=self._start(number + 1)),
                       validation=self.window(number + 1), test=self.window(number + 2), allow_overlap=first < number)

    def _start(self, number: int) -> Bound:
        start, length = self._stream.start, self._stream.length
        if isinstance(start, int):
            assert isinstance(length, int)  # checked by Stream
            return start + (number - 1) * length
        if not isinstance(start, datetime.datetime):
            start = datetime.datetime(start.year, start.month, start.day)
        assert isinstance(length, str)
        return start + (number - 1) * datetime.timedelta(**{UNITS[length[-1]]: int(length[:-1])})
