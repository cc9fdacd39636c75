// Single bits of registers and of bit strings in memory; bit scans and counts; crc32.

import type { Build } from './build.ts';
import type { Flags, Form, Insn, Operand } from './define.ts';
import type { Value, Width } from './ir.ts';

// ZF is unaffected; OF, SF, AF and PF are undefined and left alone, as AMD's and Intel's processors do.
const BIT_FLAGS: Flags = { cf: 'w', of: 'u', sf: 'u', af: 'u', pf: 'u' };
const SCAN_FLAGS: Flags = { zf: 'w', cf: 'u', of: 'u', sf: 'u', af: 'u', pf: 'u' };
const COUNT_FLAGS: Flags = { cf: 'w', zf: 'w', of: 'u', sf: 'u', af: 'u', pf: 'u' };

type BitChange = (b: Build, x: Value, mask: Value) => Value;

export const bt: Insn = {
  name: 'bt',
  ref: 'SDM 2A BT',
  forms: bitForms('a3', 4, false),
  flags: BIT_FLAGS,
  sem: (b, dst, offset) => testBit(b, dst, offset, null),
};

export const bts: Insn = {
  name: 'bts',
  ref: 'SDM 2A BTS',
  forms: bitForms('ab', 5, true),
  flags: BIT_FLAGS,
  sem: (b, dst, offset) => testBit(b, dst, offset, (_, x, mask) => b.bin('or', x, mask)),
};

export const btr: Insn = {
  name: 'btr',
  ref: 'SDM 2A BTR',
  forms: bitForms('b3', 6, true),
  flags: BIT_FLAGS,
  sem: (b, dst, offset) =>
    testBit(b, dst, offset, (_, x, mask) => b.bin('and', x, b.un('not', mask))),
};

export const btc: Insn = {
  name: 'btc',
  ref: 'SDM 2A BTC',
  forms: bitForms('bb', 7, true),
  flags: BIT_FLAGS,
  sem: (b, dst, offset) => testBit(b, dst, offset, (_, x, mask) => b.bin('xor', x, mask)),
};

/** Also with F3, which is TZCNT where BMI1 is offered: SDM 2B TZCNT. */
export const bsf: Insn = {
  name: 'bsf',
  ref: 'SDM 2A BSF',
  forms: [{ op: '0f bc /r', args: 'Gv,Ev' }],
  flags: SCAN_FLAGS,
  sem: (b, dst, src) => scan(b, dst, src, (x) => b.un('ctz', x)),
};

export const bsr: Insn = {
  name: 'bsr',
  ref: 'SDM 2A BSR',
  forms: [{ op: '0f bd /r', args: 'Gv,Ev' }],
  flags: SCAN_FLAGS,
  sem: (b, dst, src) =>
    scan(b, dst, src, (x) => b.bin('sub', b.const(x.width, x.width - 1), b.un('clz', x))),
};

export const lzcnt: Insn = {
  name: 'lzcnt',
  ref: 'SDM 2A LZCNT',
  forms: [{ op: 'F3 0f bd /r', args: 'Gv,Ev', needs: 'abm' }],
  flags: COUNT_FLAGS,
  sem: (b, dst, src) => countZeros(b, dst, src),
};

export const popcnt: Insn = {
  name: 'popcnt',
  ref: 'SDM 2B POPCNT',
  forms: [{ op: 'F3 0f b8 /r', args: 'Gv,Ev', needs: 'popcnt' }],
  flags: { cf: '0', of: '0', sf: '0', af: '0', pf: '0', zf: 'w' },
  sem(b, dst, src) {
    const x = b.read(src);
    b.write(dst, b.un('popcnt', x));
    const no = b.const(1, 0);
    b.setFlags({ cf: no, of: no, sf: no, af: no, pf: no, zf: b.isZero(x) });
  },
};

export const crc32: Insn = {
  name: 'crc32',
  ref: 'SDM 2A CRC32',
  forms: [
    { op: 'F2 0f 38 f0 /r', args: 'Gy,Eb', needs: 'sse4_2' },
    { op: 'F2 0f 38 f1 /r', args: 'Gy,Ev', needs: 'sse4_2' },
  ],
  sem(b, dst, src) {
    const data = b.read(src);
    const sum = b.trunc(b.read(dst), 32);
    const args = [sum, b.zext(data, 64), b.const(32, data.width / 8)];
    const [result] = b.call('crc32', args, [32]) as [Value];
    b.write(dst, b.zext(result, dst.size as Width));
  },
};

function bitForms(opcode: string, digit: number, lock: boolean): Form[] {
  const locked = lock ? { lock } : {};
  return [
    { op: `0f ${opcode} /r`, args: 'Ev,Gv', ...locked },
    { op: `0f ba /${digit}`, args: 'Ev,Ib', ...locked },
  ];
}

function testBit(b: Build, dst: Operand, offset: Operand, change: BitChange | null): void {
  const width = dst.size as 16 | 32 | 64;
  const index = b.readAs(offset, width);
  const place = b.bin('and', index, b.const(width, width - 1));
  const mask = () => b.bin('shl', b.const(width, 1), place);
  const beyond = dst.kind === 'mem' && offset.kind === 'reg';
  const at = beyond ? bitStringWord(b, index) : null;
  const x = at
    ? change
      ? b.loadForStore('operand', at, width)
      : b.load('operand', at, width)
    : b.read(dst);
  const cf = b.bit(b.bin('shr', x, place), 0);
  if (change) {
    const result = change(b, x, mask());
    if (at) b.storeBack(x, result);
    else b.write(dst, result);
  }
  b.setFlags({ cf });
}

/** Offset of the word that holds bit `index` (signed) of the string at the memory operand. SDM 2A 3.1.1.9, figure 3-2. */
function bitStringWord(b: Build, index: Value): Value {
  const shift = { 16: 4, 32: 5, 64: 6 }[index.width as 16 | 32 | 64];
  const words = b.sext(b.bin('sar', index, b.const(index.width, shift)), 64);
  const offset = b.bin('add', b.address(), b.bin('shl', words, b.const(64, shift - 3)));
  return b.zext(b.trunc(offset, b.asize), 64);
}

/** With a source of 0 the destination keeps its value: undefined in the SDM, defined in APM 3, and relied upon. */
function scan(b: Build, dst: Operand, src: Operand, result: (x: Value) => Value): void {
  const x = b.read(src);
  const zero = b.isZero(x);
  const position = result(x);
  b.setFlags({ zf: zero });
  b.skipIf(zero);
  b.write(dst, position);
}

function countZeros(b: Build, dst: Operand, src: Operand): void {
  const x = b.read(src);
  const count = b.un('clz', x);
  b.write(dst, count);
  b.setFlags({ cf: b.isZero(x), zf: b.isZero(count) });
}
