"""Asks for trials in the background, so that the event loop of the search never waits for one."""

import threading
from typing import Self

from search.sampler.sampler import SpaceFunction
from search.study.study import SearchStudy
from search.study.trials import NothingLeftError, TrialSpec


class Prefetcher:
    """Keeps a few asked trials ready, in one background thread.

    Asked trials are rows of the study at once: those still ready when a search is interrupted are
    its unfinished ones, and `close` hands them back so that a search out of time can end them.

    Args:
        study: is asked, by nobody else meanwhile.
        space: what the study samples.
        budget: how many more trials may be asked.
        in_flight: most untold trials at any time, those ready included; the sampler learns nothing
            between trials that are in flight together.
        in_background: False: without a thread; `take` asks, so that what the sampler knows then
            does not depend on how fast it was.
    """

    def __init__(
        self,
        study: SearchStudy,
        space: SpaceFunction,
        budget: int,
        in_flight: int,
        in_background: bool = True,
    ) -> None:
        self._study = study
        self._space = space
        self._budget = budget
        self._in_flight = in_flight
        self._ready: list[TrialSpec] = []
        self._wanted = 0
        self._closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        if in_background:
            self._thread = threading.Thread(target=self._run, name="asking", daemon=True)
            self._thread.start()

    def want(self, n: int) -> None:
        """Says how many trials to hold ready from now on; raises what the space raised."""
        with self._changed:
            self._raise()
        self.hold(n)

    def hold(self, n: int) -> None:
        """Says how many trials to hold ready from now on."""
        with self._changed:
            self._wanted = n
            self._changed.notify()

    def take(self, n: int) -> list[TrialSpec]:
        """Returns up to `n` of the trials that are ready; without a thread, asks for them first.

        Raises whatever asking raised, such as `UserError` from the space, once the trials asked
        before it are taken.
        """
        while self._thread is None and self.busy:
            self._ask()
        with self._changed:
            taken, self._ready = self._ready[:n], self._ready[n:]
            if n and not taken:
                self._raise()
            self._changed.notify()
            return taken

    @property
    def exhausted(self) -> bool:
        """Whether nothing is ready and nothing more will be asked."""
        with self._changed:
            return not self._ready and (self._budget <= 0 or self._closed)

    @property
    def busy(self) -> bool:
        """Whether a trial is being asked, or will be without anybody's doing."""
        with self._changed:
            return not self._closed and self._may_ask()

    def ask_no_more(self) -> None:
        """Asks for no more trials; those that are ready, or being asked, are still to be taken."""
        with self._changed:
            self._budget = 0

    def close(self) -> list[TrialSpec]:
        """Ends the thread and returns the trials that were asked and not taken."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        with self._changed:
            left, self._ready = self._ready, []
            return left

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes."""
        self.close()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _may_ask(self) -> bool:
        return (
            self._budget > 0
            and len(self._ready) < self._wanted
            and self._study.untold < self._in_flight
        )

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._may_ask())
                if self._closed:
                    return
            self._ask()
            if self._error is not None:
                return

    def _ask(self) -> None:
        """Asks for one trial; what that raises is kept, for the caller's thread."""
        try:
            asked = self._study.ask(self._space)
        except NothingLeftError:  # other drivers asked the rest
            with self._changed:
                self._budget = 0
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            with self._changed:
                self._error = error
                self._budget = 0
        else:
            with self._changed:
                self._budget = max(0, self._budget - 1)  # 0 if it is to ask no more meanwhile
                self._ready.append(asked)
