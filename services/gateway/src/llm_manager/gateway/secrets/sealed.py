"""Where tables keep what is sealed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from llm_manager.gateway.secrets.rules import hash_aad
from llm_manager.gateway.tables import HashSecret, Table

T = TypeVar("T", bound=Table)


@dataclass(frozen=True, slots=True)
class SealedTable(Generic[T]):
    """Where the rows of a table keep envelopes.

    Args:
        columns: those that hold one envelope each, so that the database itself finds what is under an older key; none
            where the rows are few and hold them in another form.
        walk: gives each envelope of a row, with what it is bound to, to a function, and puts what that returns in its
            place.
        key: the primary key, where it is more than `id`.
    """

    table: type[T]
    walk: Callable[[T, Callable[[bytes, bytes], bytes]], None]
    # Any: columns of any nullability
    columns: tuple[Any, ...] = ()
    key: tuple[Any, ...] = ()


def _walk(row: HashSecret, put: Callable[[bytes, bytes], bytes]) -> None:
    row.envelope = put(row.envelope, hash_aad(row.name))


HASH_SECRETS = SealedTable(HashSecret, _walk, columns=(HashSecret.envelope,))
