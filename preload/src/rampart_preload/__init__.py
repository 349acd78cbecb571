"""Guards unmodified programs: every program that they start is asked about first."""

from rampart_preload.library import library_path

__all__ = ["library_path"]
