"""What happened: journal, telemetry and inbox of a bench, in the one file that all processes share."""

from labctl.store.chain import NOT_READ
from labctl.store.inbox import Inbox, Submitted
from labctl.store.reader import Bucket, Checkpoint, Fact, Identity, Latest, Reader, Run
from labctl.store.writer import Row, Store

__all__ = [
    "NOT_READ",
    "Bucket",
    "Checkpoint",
    "Fact",
    "Identity",
    "Inbox",
    "Latest",
    "Reader",
    "Row",
    "Run",
    "Store",
    "Submitted",
]
