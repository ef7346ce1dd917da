"""Values: dataclasses that nobody changes, made cheaply.

The type checker sees the standard `dataclass` and holds everybody to `frozen=True`. At run time the fields are plain
slots: a frozen `__init__` sets each field through a function call, which was a tenth of what a hold costs.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(*, frozen: bool = False, slots: bool, kw_only: bool = False) -> Callable[[type], type]:
        return dataclasses.dataclass(slots=slots, kw_only=kw_only, unsafe_hash=frozen)
