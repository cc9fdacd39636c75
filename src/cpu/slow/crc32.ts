// The CRC32 instruction: CRC-32C over one to eight bytes.

import { defineSlow } from './define.ts';

/** The Castagnoli polynomial 11edc6f41, bit-reflected. SDM 2A CRC32. */
const POLYNOMIAL = 0x82f63b78;

/** Arguments: sum so far, data (64 bits), number of bytes. Result: the new sum. */
export const crc32 = defineSlow({
  name: 'crc32',
  ref: 'SDM 2A CRC32',
  run({ state }) {
    const data = state.arg64(1);
    const halves = [Number(data & 0xffffffffn), Number(data >> 32n)];
    const bytes = state.arg32(2);
    let sum = state.arg32(0);
    for (let n = 0; n < bytes; n++) {
      sum ^= ((halves[n >> 2] as number) >>> ((n & 3) * 8)) & 0xff;
      for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? POLYNOMIAL : 0);
    }
    state.ret32(0, sum >>> 0);
    return 0;
  },
});
