"""Money is whole billionths of a US dollar on the wire, and a Decimal here. Never a float."""

from decimal import Decimal

_NANO = Decimal(10) ** 9


def usd(nano_usd: int) -> Decimal:
    """US dollars of a `*_nano_usd` field, exactly."""
    return Decimal(nano_usd).scaleb(-9)


def nano_usd(amount: "Decimal | str | int") -> int:
    """The `*_nano_usd` field of US dollars: `nano_usd("0.25")`.

    Raises ValueError for what billionths cannot hold. Floats are refused: `0.1` is not a tenth.
    """
    if isinstance(amount, float):
        raise TypeError("money is never a float; write it as a string, such as '0.25'")
    nano = Decimal(amount) * _NANO
    if nano != nano.to_integral_value():
        raise ValueError(f"{amount} USD is finer than a billionth of a dollar")
    return int(nano)
