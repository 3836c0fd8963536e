// Money is whole billionths of a US dollar: a bigint on the wire, a decimal string for people. Never a number.

/** US dollars of a `*NanoUsd` field, exactly: `usd(250_000_000n)` is `"0.25"`. */
export function usd(nanoUsd: bigint): string {
  const digits = (nanoUsd < 0n ? -nanoUsd : nanoUsd).toString().padStart(10, "0");
  const cents = digits.slice(-9).replace(/0+$/, "").padEnd(2, "0");
  return `${nanoUsd < 0n ? "-" : ""}${digits.slice(0, -9)}.${cents}`;
}

/** The `*NanoUsd` field of US dollars: `nanoUsd("0.25")`. Throws for what billionths cannot hold. */
export function nanoUsd(amount: string): bigint {
  const match = /^(-?)(\d+)(?:\.(\d{1,9})0*)?$/.exec(amount);
  if (!match) throw new RangeError(`${JSON.stringify(amount)} is not an amount of US dollars such as "0.25", to the billionth`);
  const nano = BigInt(match[2]! + (match[3] ?? "").padEnd(9, "0"));
  return match[1] ? -nano : nano;
}
