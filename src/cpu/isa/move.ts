// Moves, extensions, conditional moves and byte reordering: what changes no flag. Hints and no-operations too.

import type { Form, Insn } from './define.ts';

export const mov: Insn = {
  name: 'mov',
  ref: 'SDM 2B MOV',
  forms: [
    { op: '88 /r', args: 'Eb,Gb' },
    { op: '89 /r', args: 'Ev,Gv' },
    { op: '8a /r', args: 'Gb,Eb' },
    { op: '8b /r', args: 'Gv,Ev' },
    { op: 'a0', args: 'AL,Ob' },
    { op: 'a1', args: 'eAX,Ov' },
    { op: 'a2', args: 'Ob,AL' },
    { op: 'a3', args: 'Ov,eAX' },
    { op: 'b0+r', args: 'Zb,Ib' },
    { op: 'b8+r', args: 'Zv,Iv' },
    { op: 'c6 /0', args: 'Eb,Ib' },
    { op: 'c7 /0', args: 'Ev,Iz' },
  ],
  sem(b, dst, src) {
    b.write(dst, b.readAs(src, dst.size as 8 | 16 | 32 | 64));
  },
};

export const movzx: Insn = {
  name: 'movzx',
  ref: 'SDM 2B MOVZX',
  forms: [
    { op: '0f b6 /r', args: 'Gv,Eb' },
    { op: '0f b7 /r', args: 'Gv,Ew' },
  ],
  sem(b, dst, src) {
    b.write(dst, b.zext(b.read(src), b.osize));
  },
};

export const movsx: Insn = {
  name: 'movsx',
  ref: 'SDM 2B MOVSX/MOVSXD',
  forms: [
    { op: '0f be /r', args: 'Gv,Eb' },
    { op: '0f bf /r', args: 'Gv,Ew' },
  ],
  sem(b, dst, src) {
    b.write(dst, b.sext(b.read(src), b.osize));
  },
};

export const movsxd: Insn = {
  name: 'movsxd',
  ref: 'SDM 2B MOVSX/MOVSXD',
  forms: [{ op: '63 /r', args: 'Gv,Ed', only: '64' }],
  sem(b, dst, src) {
    b.write(dst, b.readAs(src, b.osize));
  },
};

export const lea: Insn = {
  name: 'lea',
  ref: 'SDM 2A LEA',
  forms: [{ op: '8d /r', args: 'Gv,M' }],
  sem(b, dst) {
    b.write(dst, b.trunc(b.address(), b.osize));
  },
};

export const xchg: Insn = {
  name: 'xchg',
  ref: 'SDM 2C XCHG',
  forms: [
    { op: '86 /r', args: 'Eb,Gb', lock: true },
    { op: '87 /r', args: 'Ev,Gv', lock: true },
    { op: '90+r', args: 'Zv,eAX' }, // 90 itself, without REX.B, is nop's.
  ],
  sem(b, dst, src) {
    const x = b.read(dst);
    const y = b.read(src);
    b.write(dst, y);
    b.write(src, x);
  },
};

export const bswap: Insn = {
  name: 'bswap',
  ref: 'SDM 2A BSWAP',
  forms: [{ op: '0f c8+r', args: 'Zv' }],
  sem(b, dst) {
    // Undefined for 16 bits; AMD's and Intel's processors give 0.
    b.write(dst, b.osize === 16 ? b.const(16, 0) : b.un('bswap', b.read(dst)));
  },
};

export const movbe: Insn = {
  name: 'movbe',
  ref: 'SDM 2B MOVBE',
  forms: [
    { op: '0f 38 f0 /r', args: 'Gv,Mv', needs: 'movbe' },
    { op: '0f 38 f1 /r', args: 'Mv,Gv', needs: 'movbe' },
  ],
  sem(b, dst, src) {
    b.write(dst, b.un('bswap', b.read(src)));
  },
};

export const movnti: Insn = {
  name: 'movnti',
  ref: 'SDM 2B MOVNTI',
  forms: [{ op: 'NP 0f c3 /r', args: 'My,Gy', needs: 'sse2' }],
  sem(b, dst, src) {
    b.write(dst, b.read(src));
  },
};

/** cbw, cwde or cdqe by operand size. */
export const cbw: Insn = {
  name: 'cbw',
  ref: 'SDM 2A CBW/CWDE/CDQE',
  forms: [{ op: '98', args: '', name: 'cbw/cwde/cdqe' }],
  sem(b) {
    const half = { 16: 8, 32: 16, 64: 32 } as const;
    b.setReg('rax', b.sext(b.reg('rax', half[b.osize]), b.osize));
  },
};

/** cwd, cdq or cqo by operand size. */
export const cwd: Insn = {
  name: 'cwd',
  ref: 'SDM 2A CWD/CDQ/CQO',
  forms: [{ op: '99', args: '', name: 'cwd/cdq/cqo' }],
  sem(b) {
    b.setReg('rdx', b.bin('sar', b.reg('rax', b.osize), b.const(b.osize, b.osize - 1)));
  },
};

export const cmov: Insn = {
  name: 'cmov',
  ref: 'SDM 2A CMOVcc',
  forms: [{ op: '0f 40+cc /r', args: 'Gv,Ev', needs: 'cmov' }],
  flags: { cf: 'r', pf: 'r', zf: 'r', sf: 'r', of: 'r' },
  sem(b, dst, src) {
    // The source is read, and 32 bits clear the upper half, whatever the condition.
    const x = b.read(src);
    b.write(dst, b.select(b.cond(b.variant.cc), x, b.read(dst)));
  },
};

export const set: Insn = {
  name: 'set',
  ref: 'SDM 2B SETcc',
  forms: [{ op: '0f 90+cc /r', args: 'Eb' }],
  flags: { cf: 'r', pf: 'r', zf: 'r', sf: 'r', of: 'r' },
  sem(b, dst) {
    b.write(dst, b.zext(b.cond(b.variant.cc), 8));
  },
};

export const xlat: Insn = {
  name: 'xlatb',
  ref: 'SDM 2C XLAT/XLATB',
  forms: [{ op: 'd7', args: '' }],
  sem(b) {
    const index = b.zext(b.reg('rax', 8), b.asize);
    const offset = b.bin('add', b.reg('rbx', b.asize), index);
    b.setReg('rax', b.load('operand', b.zext(offset, 64), 8));
  },
};

const HINT_OPCODES = ['19', '1a', '1b', '1c', '1d', '1e', '1f'];

/** `90`, and the hint space 0f 18..1f, whose operand is never accessed (endbr64 and rdssp without CET among them). */
export const nop: Insn = {
  name: 'nop',
  ref: 'SDM 2B NOP, SDM 2D A.3 table A-3',
  forms: [
    { op: '90', args: '' }, // Without REX.B; wins over xchg's `90+r`.
    ...HINT_OPCODES.map((opcode): Form => ({ op: `0f ${opcode} /r`, args: 'Ev' })),
    ...[4, 5, 6, 7].map((digit): Form => ({ op: `0f 18 /${digit}`, args: 'Ev' })),
    { op: 'F3 0f 1e =fa', args: '', name: 'endbr64' },
    { op: 'F3 0f 1e =fb', args: '', name: 'endbr32' },
  ],
  sem() {},
};

export const pause: Insn = {
  name: 'pause',
  ref: 'SDM 2B PAUSE',
  forms: [{ op: 'F3 90', args: '' }],
  sem() {},
};

/** Prefetches never fault and have no effect here. */
export const prefetch: Insn = {
  name: 'prefetch',
  ref: 'SDM 2B PREFETCHh, PREFETCHW; APM 3 PREFETCHlevel',
  forms: [
    { op: '0f 18 /0', args: 'Eb', name: 'prefetchnta' },
    { op: '0f 18 /1', args: 'Eb', name: 'prefetcht0' },
    { op: '0f 18 /2', args: 'Eb', name: 'prefetcht1' },
    { op: '0f 18 /3', args: 'Eb', name: 'prefetcht2' },
    { op: '0f 0d /0', args: 'Mb' },
    { op: '0f 0d /1', args: 'Mb', name: 'prefetchw' },
    { op: '0f 0d /2', args: 'Mb', name: 'prefetchwt1' },
    ...[3, 4, 5, 6, 7].map((digit): Form => ({ op: `0f 0d /${digit}`, args: 'Mb' })),
  ],
  sem() {},
};
