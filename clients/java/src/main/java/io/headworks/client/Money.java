package io.headworks.client;

import java.math.BigDecimal;

/** Money is whole billionths of a US dollar on the wire, and a BigDecimal here. Never a double. */
public final class Money {
  private Money() {}

  /** US dollars of a {@code *NanoUsd} field, exactly. */
  public static BigDecimal usd(long nanoUsd) {
    return BigDecimal.valueOf(nanoUsd, 9);
  }

  /**
   * The {@code *NanoUsd} field of US dollars.
   *
   * @throws ArithmeticException if billionths cannot hold it
   */
  public static long nanoUsd(BigDecimal amount) {
    return amount.movePointRight(9).longValueExact();
  }

  /** The {@code *NanoUsd} field of US dollars, such as {@code "0.25"}. */
  public static long nanoUsd(String amount) {
    return nanoUsd(new BigDecimal(amount));
  }
}
