// Slow paths for ports: IN, OUT, INS, OUTS, with the permission bitmap of the TSS.

import { EFLAGS_DF, EFLAGS_IOPL, EFLAGS_IOPL_SHIFT, GP } from '../control-bits.ts';
import { pendDebug, portHits, resumeNext } from '../debug.ts';
import { inRealMode, inVm86, TR } from '../descriptors.ts';
import { exits, POLICY_IO } from '../policy.ts';
import { FIELDS, GPR_AT, SEG_LIMIT } from '../state.ts';
import { type Cx, defineSlow } from './define.ts';

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RSI = 6;
const RDI = 7;
/** Where the TSS says its permission bitmap begins. SDM 1 19.5.2. */
const TSS_IO_MAP = 0x66;

/** Args: port (32), bytes (32). */
export const input = defineSlow({
  name: 'in',
  ref: 'SDM 2A IN',
  run(cx) {
    const { state } = cx;
    const port = state.arg32(0) & 0xffff;
    const bytes = state.arg32(1);
    if (refused(cx, port, bytes)) return 1;
    watch(cx, port, bytes);
    writeRegister(cx, RAX, bytes * 8, cx.border.ioRead(port, bytes));
    return 0;
  },
});

/** Args: port (32), bytes (32). The value is in rAX. */
export const output = defineSlow({
  name: 'out',
  ref: 'SDM 2B OUT',
  run(cx) {
    const { state } = cx;
    const port = state.arg32(0) & 0xffff;
    const bytes = state.arg32(1);
    if (refused(cx, port, bytes)) return 1;
    watch(cx, port, bytes);
    cx.border.ioWrite(port, bytes, truncated(state.gpr32(RAX), bytes));
    return 0;
  },
});

/** Args: linear address in ES (64), bytes (32), repeated (32). One iteration; RIP goes back while more are due. */
export const inputString = defineSlow({
  name: 'ins',
  ref: 'SDM 2A INS/INSB/INSW/INSD',
  run(cx) {
    const { state } = cx;
    const va = state.argVa(0);
    const bytes = state.arg32(1);
    const repeated = state.arg32(2) !== 0;
    const port = state.gpr32(RDX) & 0xffff;
    if (refused(cx, port, bytes)) return 1;
    // The port is read only if the value has somewhere to go.
    if (!cx.mmu.aligned(va, bytes) || !cx.mmu.probe(va, bytes, 'current')) return 1;
    watch(cx, port, bytes);
    const value = cx.border.ioRead(port, bytes);
    cx.mmu.buf.setUint32(0, value, true);
    cx.mmu.write(va, bytes, 'current');
    advance(cx, RDI, bytes, repeated);
    return 0;
  },
});

/** Args: linear address (64), bytes (32), repeated (32). One iteration, as above. */
export const outputString = defineSlow({
  name: 'outs',
  ref: 'SDM 2B OUTS/OUTSB/OUTSW/OUTSD',
  run(cx) {
    const { state } = cx;
    const va = state.argVa(0);
    const bytes = state.arg32(1);
    const repeated = state.arg32(2) !== 0;
    const port = state.gpr32(RDX) & 0xffff;
    if (refused(cx, port, bytes)) return 1;
    if (!cx.mmu.aligned(va, bytes) || !cx.mmu.read(va, bytes, 'current')) return 1;
    watch(cx, port, bytes);
    cx.border.ioWrite(port, bytes, truncated(cx.mmu.buf.getUint32(0, true), bytes));
    advance(cx, RSI, bytes, repeated);
    return 0;
  },
});

/** True: #GP(0) or another fault, or an exit, is raised. */
function refused(cx: Cx, port: number, bytes: number): boolean {
  return !permitted(cx, port, bytes) || exits(cx.state, POLICY_IO);
}

/** IOPL first, then one bit for each port in the TSS. SDM 1 19.5. */
function permitted(cx: Cx, port: number, bytes: number): boolean {
  const { state } = cx;
  const iopl = (state.get(FIELDS.eflags) & EFLAGS_IOPL) >> EFLAGS_IOPL_SHIFT;
  if (inRealMode(state) || (!inVm86(state) && state.get(FIELDS.cpl) <= iopl)) return true;
  const limit = state.seg(TR, SEG_LIMIT);
  if (limit < TSS_IO_MAP + 1) return denied(cx);
  if (!cx.mmu.read(state.segBase(TR) + TSS_IO_MAP, 2, 'system')) return false;
  const at = cx.mmu.buf.getUint16(0, true) + (port >> 3);
  // Two bytes are always read, so that the bits of an access that crosses a byte are there.
  if (at + 1 > limit) return denied(cx);
  if (!cx.mmu.read(state.segBase(TR) + at, 2, 'system')) return false;
  const mask = ((1 << bytes) - 1) << (port & 7);
  return (cx.mmu.buf.getUint16(0, true) & mask) === 0 || denied(cx);
}

/** A breakpoint on these ports is a trap after the access. */
function watch(cx: Cx, port: number, bytes: number): void {
  const bits = portHits(cx.state, port, bytes);
  if (bits === 0) return;
  pendDebug(cx.state, bits);
  cx.state.set(FIELDS.attention, 1);
}

function denied(cx: Cx): false {
  cx.state.raise(GP, 0);
  return false;
}

function truncated(value: number, bytes: number): number {
  return bytes === 4 ? value >>> 0 : value & (bytes === 2 ? 0xffff : 0xff);
}

function advance(cx: Cx, register: number, bytes: number, repeated: boolean): void {
  const { state } = cx;
  const step = state.get(FIELDS.eflags) & EFLAGS_DF ? -bytes : bytes;
  step64(cx, register, step);
  if (!repeated) return;
  step64(cx, RCX, -1);
  const { asize, length, mode } = cx.insn;
  const left = BigInt.asUintN(asize, state.gpr(RCX));
  if (left === 0n) return;
  const back = state.get64('rip') - BigInt(length);
  state.set64('rip', BigInt.asUintN(mode === 64 ? 64 : 32, back));
  resumeNext(state, cx.retired());
}

/** Adds to as much of a register as the address size uses. */
function step64(cx: Cx, register: number, by: number): void {
  const { state } = cx;
  const { asize } = cx.insn;
  const sum = BigInt.asUintN(asize, state.gpr(register) + BigInt(by));
  writeRegister(cx, register, asize, sum);
}

function writeRegister(cx: Cx, n: number, bits: number, value: number | bigint): void {
  const { state } = cx;
  const at = state.base + GPR_AT + n * 8;
  if (bits === 64) state.setGpr(n, BigInt(value));
  else if (bits === 32) state.setGpr32(n, Number(value));
  else if (bits === 16) state.views.u16[at >> 1] = Number(value);
  else state.views.u8[at] = Number(value);
}
