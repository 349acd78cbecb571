"""What known programs do with their arguments, as data. ``core/docs/catalog.md`` describes it."""

from rampart.intercept.catalog.extend import Addition, ExtendedCatalog, read_additions
from rampart.intercept.catalog.load import Catalog, builtin_catalog
from rampart.intercept.catalog.model import Entry, Operands, Option
from rampart.intercept.catalog.parse import parse_entry
from rampart.intercept.catalog.vocabulary import ADDRESS_EFFECTS, ALL_EFFECTS, EFFECTS, ROLES

__all__ = [
    "ADDRESS_EFFECTS",
    "ALL_EFFECTS",
    "EFFECTS",
    "ROLES",
    "Addition",
    "Catalog",
    "Entry",
    "ExtendedCatalog",
    "Operands",
    "Option",
    "builtin_catalog",
    "parse_entry",
    "read_additions",
]
