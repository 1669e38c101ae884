// Half precision to single by table: a 65,536-entry look-up is far quicker than taking bits apart for every number.

export const SINGLE = new Float32Array(65536);
for (let bits = 0; bits < 65536; bits++) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  SINGLE[bits] =
    exponent === 31
      ? fraction
        ? NaN
        : sign * Infinity
      : exponent === 0
        ? sign * fraction * 2 ** -24
        : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
