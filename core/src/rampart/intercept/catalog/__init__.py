"""What known programs do with their arguments, as data. ``core/docs/catalog.md`` describes it."""

from rampart.intercept.catalog.load import Catalog, builtin_catalog, parse_entry
from rampart.intercept.catalog.model import Entry, Operands, Option
from rampart.intercept.catalog.vocabulary import EFFECTS, ROLES

__all__ = [
    "EFFECTS",
    "ROLES",
    "Catalog",
    "Entry",
    "Operands",
    "Option",
    "builtin_catalog",
    "parse_entry",
]
