"""Keep studies on disk: append-only journals that survive a kill at any byte (see `harness.store.study`)."""

from harness.store.study import Study, folder_name

__all__ = ["Study", "folder_name"]
