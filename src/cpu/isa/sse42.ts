// SSE4.2: string comparisons and the 64-bit greater-than; CRC32 and POPCNT are integer instructions.

import type { Build } from './build.ts';
import type { Insn } from './define.ts';
import { sseCheck } from './fpu-check.ts';
import type { Value } from './ir.ts';
import { binary, plain } from './vector.ts';

const FLAGS = { cf: 'w', zf: 'w', sf: 'w', of: 'w', af: '0', pf: '0' } as const;

/**
 * pcmpestri, pcmpestrm, pcmpistri, pcmpistrm: a slow path gives index, mask and flags. `e`: lengths in EAX and EDX
 * (RAX and RDX with REX.W). Memory need not be aligned. SDM 1 and 2B 4.1.
 */
function compareStrings(name: string, opcode: string, explicit: boolean, mask: boolean): Insn {
  return {
    name,
    ref: `SDM 2B ${name.toUpperCase()}`,
    forms: [{ op: `66 0f 3a ${opcode} /r`, args: 'Vdq,Wdq,Ib', needs: 'sse4_2' }],
    flags: FLAGS,
    sem(b, first, second, by) {
      sseCheck(b);
      const y = b.read(second);
      const args = [b.read(first), y, b.zext(b.read(by), 32), ...lengths(b, explicit)];
      const [index, bits, flags] = b.call('compare-strings', args, [32, 128, 32]);
      if (!index || !bits || !flags) return;
      if (mask) b.setXmm(0, bits);
      else b.setReg('rcx', index);
      setStringFlags(b, flags);
    },
  };
}

/** Explicit lengths as signed 64-bit values; implicit ones: a third argument says so. */
function lengths(b: Build, explicit: boolean): Value[] {
  if (!explicit) return [b.const(32, 0)];
  const wide = b.osize === 64;
  const length = (name: 'rax' | 'rdx') => (wide ? b.reg(name, 64) : b.sext(b.reg(name, 32), 64));
  return [b.const(32, 1), length('rax'), length('rdx')];
}

function setStringFlags(b: Build, flags: Value): void {
  const no = b.const(1, 0);
  b.setFlags({
    cf: b.bit(flags, 0),
    zf: b.bit(flags, 6),
    sf: b.bit(flags, 7),
    of: b.bit(flags, 11),
    af: no,
    pf: no,
  });
}

export const sse42: readonly Insn[] = [
  compareStrings('pcmpestrm', '60', true, true),
  compareStrings('pcmpestri', '61', true, false),
  compareStrings('pcmpistrm', '62', false, true),
  compareStrings('pcmpistri', '63', false, false),
  binary(
    'pcmpgtq',
    'SDM 2B PCMPGTQ',
    [{ op: '66 0f 38 37 /r', args: 'Vx,Wx', needs: 'sse4_2' }],
    plain('i64x2.gt_s'),
  ),
];
