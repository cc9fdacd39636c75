// The checks that every SSE, MMX and x87 instruction begins with: is the unit usable, is an x87 exception pending?

import type { Build } from './build.ts';
import type { Operand } from './define.ts';

const CR0_EM_BIT = 2;
const UD = 6;
const NM = 7;
const MF = 16;

function faultWhen(b: Build, field: 'sseFault' | 'x87Fault', vector: number): void {
  b.faultIf(b.cmp('eq', b.state(field, 32), b.const(32, vector)), vector, null);
}

/** #UD if CR0.EM or not CR4.OSFXSR, #NM if CR0.TS. SDM 3A 13.1, table 13-1; `fpu-fault.ts` keeps the field. */
export function sseCheck(b: Build): void {
  faultWhen(b, 'sseFault', UD);
  faultWhen(b, 'sseFault', NM);
}

/** #NM if CR0.EM or CR0.TS: for the x87 instructions that do not wait. */
export function x87NoWaitCheck(b: Build): void {
  faultWhen(b, 'x87Fault', NM);
}

/** #NM if CR0.EM or CR0.TS, #MF if an unmasked x87 exception is pending. SDM 3A 2.5, 1 8.7.1. */
export function x87Check(b: Build): void {
  faultWhen(b, 'x87Fault', NM);
  faultWhen(b, 'x87Fault', MF);
}

/** As x87, but CR0.EM gives #UD. SDM 3A 12.1, table 12-1. */
export function mmxCheck(b: Build): void {
  b.faultIf(b.bit(b.state('cr0', 32), CR0_EM_BIT), UD, null);
  x87Check(b);
}

export function isMm(o: Operand): boolean {
  return o.kind === 'reg' && o.file === 'mm';
}

/** The check for an instruction over xmm registers, mm registers, or both. */
export function vectorCheck(b: Build, ...operands: readonly Operand[]): void {
  const mm = operands.some(isMm);
  if (operands.some((o) => o.kind === 'reg' && o.file === 'xmm')) sseCheck(b);
  else if (!mm) sseCheck(b);
  if (mm) mmxCheck(b);
}

const FSW_TOP = 7 << 11;

/** Every MMX instruction makes TOP zero and, but for EMMS, all tags valid. SDM 3A table 12-2. For those that write no mm register. */
export function enterMmx(b: Build): void {
  b.setState('ftw', b.const(16, 0xff));
  b.setState('fsw', b.bin('and', b.state('fsw', 16), b.const(16, ~FSW_TOP)));
}
