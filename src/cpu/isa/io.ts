// Ports: IN, OUT and their string forms.

import type { Build } from './build.ts';
import { SEG_ES } from './build.ts';
import type { Insn, Operand } from './define.ts';
import type { SegRef, Value } from './ir.ts';

/** These end a block: a device may raise its interrupt line, or ask for an exit, at exactly this instruction. */
export const input: Insn = {
  name: 'in',
  ref: 'SDM 2A IN',
  forms: [
    { op: 'e4', args: 'AL,Ib' },
    { op: 'e5', args: 'eAX,Ib' },
    { op: 'ec', args: 'AL,DX' },
    { op: 'ed', args: 'eAX,DX' },
  ],
  sem: (b, dst, port) => b.callEnd('in', [portOf(b, port), bytesOf(b, dst)]),
};

export const output: Insn = {
  name: 'out',
  ref: 'SDM 2B OUT',
  forms: [
    { op: 'e6', args: 'Ib,AL' },
    { op: 'e7', args: 'Ib,eAX' },
    { op: 'ee', args: 'DX,AL' },
    { op: 'ef', args: 'DX,eAX' },
  ],
  sem: (b, port, src) => b.callEnd('out', [portOf(b, port), bytesOf(b, src)]),
};

export const inputString: Insn = {
  name: 'ins',
  ref: 'SDM 2A INS/INSB/INSW/INSD',
  forms: [
    { op: '6c', args: 'Yb,DX', rep: 'rep', name: 'insb' },
    { op: '6d', args: 'Yz,DX', rep: 'rep', name: 'insw/insd/insd' },
  ],
  flags: { df: 'r' },
  sem: (b, dst) => iteration(b, 'ins', SEG_ES, 'rdi', dst),
};

export const outputString: Insn = {
  name: 'outs',
  ref: 'SDM 2B OUTS/OUTSB/OUTSW/OUTSD',
  forms: [
    { op: '6e', args: 'DX,Xb', rep: 'rep', name: 'outsb' },
    { op: '6f', args: 'DX,Xz', rep: 'rep', name: 'outsw/outsd/outsd' },
  ],
  flags: { df: 'r' },
  sem: (b, _port, src) => iteration(b, 'outs', 'operand', 'rsi', src),
};

function portOf(b: Build, port: Operand): Value {
  return b.zext(port.kind === 'imm' ? b.imm(port.n, 8) : b.reg('rdx', 16), 32);
}

/** Ports have at most 32 bits: REX.W changes nothing. */
function bytesOf(b: Build, o: Operand): Value {
  return b.const(32, Math.min(o.size, 32) / 8);
}

function iteration(
  b: Build,
  path: string,
  segment: SegRef,
  pointer: 'rsi' | 'rdi',
  memory: Operand,
): void {
  const repeated = b.variant.rep !== 'none';
  if (repeated) b.skipIf(b.isZero(b.reg('rcx', b.asize)));
  const bytes = Math.min(memory.size, 32) / 8;
  const offset = b.zext(b.reg(pointer, b.asize), 64);
  const va = b.linear(segment, offset, bytes, path === 'ins');
  b.callEnd(path, [va, b.const(32, bytes), b.const(32, repeated ? 1 : 0)]);
}
