"""Read a protocol file: validate it, write every default into it, and hash it."""

from harness.protocol.loading import Loaded, load, packaged, title
from harness.protocol.options import Catalogue, build
from harness.protocol.reference import key_table, schema_text

__all__ = ["Catalogue", "Loaded", "build", "key_table", "load", "packaged", "schema_text", "title"]
