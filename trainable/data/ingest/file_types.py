"""The old address of `trainable.data.file_types`; goes when `search.api` imports that one."""

from trainable.data.file_types import is_table

__all__ = ["is_table"]
