"""Workers that fail before they train anything: when that ends a search."""

from trainable.cli.errors import UserError
from trainable.io.file_store import NotWrittenError
from trainable.trial import NotSeenError

MOST = 8  # failures in a row: machines that are lost as a worker starts are fewer


class Starts:
    """Counts the failures since a worker last trained."""

    def __init__(self) -> None:
        self._failed = 0

    def well(self) -> None:
        """Notes that a worker has trained."""
        self._failed = 0

    def failed(self, empty: bool, text: str) -> None:
        """Notes that a worker has failed.

        Args:
            empty: it had no members yet.
            text: its traceback.

        Raises:
            UserError: it does not see, or cannot write, the trials' files, or none can start.
        """
        last = text.strip().rpartition("\n")[2]
        if NotWrittenError.__name__ in last:
            raise UserError(last.partition(": ")[2])
        if NotSeenError.__name__ in last:
            raise UserError(
                f"{last.partition(': ')[2]}: the checkpoints of its trials would be lost; "
                "storage_path= of a folder that all machines share, or of s3://…, works"
            )
        self._failed += empty
        if self._failed >= MOST:
            raise UserError(
                f"{MOST} workers in a row ended before they trained anything ({last}); mend that "
                "and go on with resume=true"
            )
