// The x87 environment in memory (FNSTENV, FLDENV, FNSAVE, FRSTOR) and the control instructions. SDM 1 8.1.10.

import { recomputeFpuFaults, waitFault, X87_EXCEPTIONS } from '../fpu-fault.ts';
import { ARG_AT, FIELDS, type State } from '../state.ts';
import { type Cx, defineSlow } from './define.ts';
import {
  fullTags,
  initX87,
  readSt,
  setControlWord,
  setFullTags,
  writeSt,
} from './x87-registers.ts';

const CR0_PE = 1;
const EFLAGS_VM = 1 << 17;
const REGISTER_BYTES = 10;
/** Exception flags, stack fault, summary and busy: what FNCLEX clears. SDM 2A FCLEX. */
const FSW_CLEARED = 0x80ff;

export function environmentBytes(osize: number): number {
  return osize === 16 ? 14 : 28;
}
export function x87ImageBytes(osize: number): number {
  return environmentBytes(osize) + 8 * REGISTER_BYTES;
}

/** Real-address and virtual-8086 mode store linear pointers and the opcode. SDM 1 figures 8-9 to 8-12. */
function isRealFormat(state: State): boolean {
  return (state.get(FIELDS.cr0) & CR0_PE) === 0 || (state.get(FIELDS.eflags) & EFLAGS_VM) !== 0;
}

function putEnvironment(cx: Cx): number {
  const { state } = cx;
  const { buf } = cx.mmu;
  const wide = cx.insn.osize !== 16;
  const step = wide ? 4 : 2;
  const fip = Number(BigInt.asUintN(32, state.get64('fip')));
  const fdp = Number(BigInt.asUintN(32, state.get64('fdp')));
  const real = isRealFormat(state);
  const fop = state.get(FIELDS.fop);
  // Upper half of the reserved 16 bits of each field reads as ones. Bochs and hardware agree.
  const put = (n: number, v: number, upper = 0xffff) => {
    buf.setUint16(n * step, v & 0xffff, true);
    if (wide) buf.setUint16(n * step + 2, upper, true);
  };
  put(0, state.get(FIELDS.fcw));
  put(1, state.get(FIELDS.fsw));
  put(2, fullTags(state));
  if (!real) {
    put(3, fip, fip >>> 16);
    put(4, 0, fop);
    put(5, fdp, fdp >>> 16);
    put(6, 0);
    return 7 * step;
  }
  const high = (pointer: number) => (wide ? (pointer >>> 16) << 12 : ((pointer >>> 16) & 15) << 12);
  put(3, fip, 0);
  put(4, high(fip) | fop, high(fip) >>> 16);
  put(5, fdp, 0);
  put(6, high(fdp), high(fdp) >>> 16);
  return 7 * step;
}

function takeEnvironment(cx: Cx): number {
  const { state } = cx;
  const { buf } = cx.mmu;
  const wide = cx.insn.osize !== 16;
  const step = wide ? 4 : 2;
  const get = (n: number) => (wide ? buf.getUint32(n * step, true) : buf.getUint16(n * step, true));
  state.set(FIELDS.fsw, get(1) & 0xffff);
  setFullTags(state, get(2));
  const real = isRealFormat(state);
  const pointer = (n: number) =>
    real ? (get(n) & 0xffff) + (((get(n + 1) >>> 12) & 0xffff) << 16) : get(n);
  state.set64('fip', BigInt(pointer(3) >>> 0));
  state.set64('fdp', BigInt(pointer(5) >>> 0));
  state.set(FIELDS.fop, (real ? get(4) : wide ? get(4) >>> 16 : state.get(FIELDS.fop)) & 0x7ff);
  setControlWord(state, get(0) & 0xffff);
  return 7 * step;
}

export const fnstenv = defineSlow({
  name: 'fnstenv',
  ref: 'SDM 2A FSTENV',
  pure: true,
  run(cx) {
    const { state } = cx;
    const bytes = putEnvironment(cx);
    if (!cx.mmu.write(state.argVa(0), bytes, 'current')) return 1;
    setControlWord(state, state.get(FIELDS.fcw) | X87_EXCEPTIONS);
    return 0;
  },
});

export const fldenv = defineSlow({
  name: 'fldenv',
  ref: 'SDM 2A FLDENV',
  pure: true,
  run(cx) {
    if (!cx.mmu.read(cx.state.argVa(0), environmentBytes(cx.insn.osize), 'current')) return 1;
    takeEnvironment(cx);
    return 0;
  },
});

export const fnsave = defineSlow({
  name: 'fnsave',
  ref: 'SDM 2A FSAVE',
  pure: true,
  run(cx) {
    const { state } = cx;
    const at = putEnvironment(cx);
    for (let i = 0; i < 8; i++) {
      const v = readSt(state, i);
      cx.mmu.buf.setBigUint64(at + i * REGISTER_BYTES, v.sig, true);
      cx.mmu.buf.setUint16(at + i * REGISTER_BYTES + 8, v.se, true);
    }
    if (!cx.mmu.write(state.argVa(0), x87ImageBytes(cx.insn.osize), 'current')) return 1;
    initX87(state);
    return 0;
  },
});

export const frstor = defineSlow({
  name: 'frstor',
  ref: 'SDM 2A FRSTOR',
  pure: true,
  run(cx) {
    const { state } = cx;
    if (!cx.mmu.read(state.argVa(0), x87ImageBytes(cx.insn.osize), 'current')) return 1;
    const at = takeEnvironment(cx);
    const tags = state.get(FIELDS.ftw);
    for (let i = 0; i < 8; i++) {
      const sig = cx.mmu.buf.getBigUint64(at + i * REGISTER_BYTES, true);
      writeSt(state, i, { sig, se: cx.mmu.buf.getUint16(at + i * REGISTER_BYTES + 8, true) });
    }
    state.set(FIELDS.ftw, tags);
    return 0;
  },
});

export const fninit = defineSlow({
  name: 'fninit',
  ref: 'SDM 2A FINIT',
  pure: true,
  run(cx) {
    initX87(cx.state);
    return 0;
  },
});

export const fnclex = defineSlow({
  name: 'fnclex',
  ref: 'SDM 2A FCLEX',
  pure: true,
  run(cx) {
    cx.state.set(FIELDS.fsw, cx.state.get(FIELDS.fsw) & ~FSW_CLEARED);
    recomputeFpuFaults(cx.state);
    return 0;
  },
});

export const fldcw = defineSlow({
  name: 'fldcw',
  ref: 'SDM 2A FLDCW',
  pure: true,
  run(cx) {
    setControlWord(cx.state, cx.state.arg32(0) & 0xffff);
    return 0;
  },
});

export const fwait = defineSlow({
  name: 'fwait',
  ref: 'SDM 2B WAIT/FWAIT',
  pure: true,
  run(cx) {
    const vector = waitFault(cx.state);
    return vector === 0 ? 0 : cx.state.raise(vector, null);
  },
});

/** A write to an mm register (argument 0) of argument 1: exponent all ones, all tags valid, TOP 0. SDM 1 9.5. */
export const mmxWrite = defineSlow({
  name: 'mmx-write',
  ref: 'SDM 1 9.5',
  pure: true,
  run(cx) {
    const { state } = cx;
    state.set(FIELDS.fsw, state.get(FIELDS.fsw) & ~(7 << 11));
    writeSt(state, state.arg32(0), { se: 0xffff, sig: state.arg64(1) });
    state.set(FIELDS.ftw, 0xff);
    return 0;
  },
});

/** Stores those bytes of argument 1 whose sign bit is set in argument 2, at linear address argument 0. */
export const maskedStore = defineSlow({
  name: 'masked-store',
  ref: 'SDM 2B MASKMOVDQU',
  pure: true,
  run(cx) {
    const { state, mmu } = cx;
    const va = state.argVa(0);
    const chosen: number[] = [];
    for (let i = 0; i < 16; i++) if (argByte(state, 2, i) & 0x80) chosen.push(i);
    for (const i of chosen) if (!mmu.probe(va + i, 1, 'current')) return 1;
    for (const i of chosen) {
      mmu.buf.setUint8(0, argByte(state, 1, i));
      if (!mmu.write(va + i, 1, 'current')) return 1;
    }
    return 0;
  },
});

/** Byte `i` of the 128-bit argument `n`. */
function argByte(state: State, n: number, i: number): number {
  return state.views.u8[state.base + ARG_AT + n * 16 + i] as number;
}
