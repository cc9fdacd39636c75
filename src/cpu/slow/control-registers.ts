// Slow paths for control and debug registers: MOV to and from them, CLTS, LMSW, and what invalidates translations.

import {
  CR0_CD,
  CR0_ET,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR0_WP,
  CR4_DE,
  CR4_FSGSBASE,
  CR4_MCE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_OSXSAVE,
  CR4_PAE,
  CR4_PCE,
  CR4_PCIDE,
  CR4_PGE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  CR4_TSD,
  CR4_UMIP,
  DB,
  EFER_LMA,
  EFER_LME,
  GP,
  isCanonical,
  UD,
} from '../control-bits.ts';
import { codeArmed, commitDebug, DEBUG_ADDRESSES, DR6_BD, DR7_GD } from '../debug.ts';
import { CS } from '../descriptors.ts';
import { exits, POLICY_CR_READ, POLICY_CR_WRITE, POLICY_DR, POLICY_INVLPG } from '../policy.ts';
import { ATTR_L, FIELDS, type FieldName, SEG_ATTR } from '../state.ts';
import { type Cx, defineSlow } from './define.ts';

/** PE MP EM TS ET NE WP AM NW CD PG; all others read as zero. SDM 3A 2.5. */
const CR0_ALL = 0xe005003f;
const CR4_ALL =
  CR4_TSD |
  CR4_DE |
  CR4_PSE |
  CR4_PAE |
  CR4_MCE |
  CR4_PGE |
  CR4_PCE |
  CR4_OSFXSR |
  CR4_OSXMMEXCPT |
  CR4_UMIP |
  CR4_FSGSBASE |
  CR4_PCIDE |
  CR4_OSXSAVE |
  CR4_SMEP |
  CR4_SMAP;
/** Changing these invalidates all translations. SDM 3A 4.10.4.1; WP too, since TLB entries remember what it allowed. */
const CR0_FLUSHING = CR0_PG | CR0_PE | CR0_WP;
const CR4_FLUSHING = CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP;
/** Bits 40..62 of CR3, and bit 63, which is not stored: in the high half. */
export const CR3_RESERVED_HI = 0x7fffff00;
const CR3_NO_FLUSH_HI = 0x80000000;

/** Args: number (32). Result: value (64). */
export const readControl = defineSlow({
  name: 'read_control',
  ref: 'SDM 2B MOV',
  run(cx) {
    const { state } = cx;
    if (exits(state, POLICY_CR_READ)) return 1;
    const n = state.arg32(0);
    if (n === 0) state.ret64(0, BigInt(state.get(FIELDS.cr0)));
    else if (n === 2) state.ret64(0, state.get64('cr2'));
    else if (n === 3) state.ret64(0, state.get64('cr3'));
    else if (n === 4) state.ret64(0, BigInt(state.get(FIELDS.cr4)));
    else if (n === 8) state.ret64(0, BigInt(cx.border.readCr8?.() ?? state.get(FIELDS.cr8)));
    else return state.raise(UD, null);
    return 0;
  },
});

/** Args: number (32), value (64). */
export const writeControl = defineSlow({
  name: 'write_control',
  ref: 'SDM 2B MOV',
  run(cx) {
    const { state } = cx;
    if (exits(state, POLICY_CR_WRITE)) return 1;
    const low = state.arg32(1);
    const high = state.argHigh(1);
    switch (state.arg32(0)) {
      case 0:
        return high === 0 ? writeCr0(cx, low) : state.raise(GP, 0);
      case 2:
        state.set64('cr2', state.arg64(1));
        return 0;
      case 3:
        return writeCr3(cx, low, high);
      case 4:
        return high === 0 ? writeCr4(cx, low) : state.raise(GP, 0);
      case 8:
        if (high !== 0 || low > 15) return state.raise(GP, 0);
        if (cx.border.writeCr8) cx.border.writeCr8(low);
        else state.set(FIELDS.cr8, low);
        return 0;
      default:
        return state.raise(UD, null);
    }
  },
});

export const clts = defineSlow({
  name: 'clts',
  ref: 'SDM 2A CLTS',
  run(cx) {
    if (exits(cx.state, POLICY_CR_WRITE)) return 1;
    cx.state.set(FIELDS.cr0, cx.state.get(FIELDS.cr0) & ~CR0_TS);
    cx.modeChanged();
    return 0;
  },
});

/** Args: the machine status word (32). It can set PE but not clear it. */
export const lmsw = defineSlow({
  name: 'lmsw',
  ref: 'SDM 2A LMSW',
  run(cx) {
    const { state } = cx;
    if (exits(state, POLICY_CR_WRITE)) return 1;
    const old = state.get(FIELDS.cr0);
    return writeCr0(cx, (old & ~0xe) | (state.arg32(0) & 0xf) | (old & CR0_PE));
  },
});

/** Args: number (32). Result: value (64). */
export const readDebug = defineSlow({
  name: 'read_debug',
  ref: 'SDM 2B MOV',
  run(cx) {
    const name = debugRegister(cx, cx.state.arg32(0));
    if (name === null) return 1;
    cx.state.ret64(0, cx.state.get64(name));
    return 0;
  },
});

/** Args: number (32), value (64). */
export const writeDebug = defineSlow({
  name: 'write_debug',
  ref: 'SDM 2B MOV',
  run(cx) {
    const { state } = cx;
    const value = state.arg64(1);
    const name = debugRegister(cx, state.arg32(0));
    if (name === null) return 1;
    if (name === 'dr6' || name === 'dr7') {
      if (value >> 32n !== 0n) return state.raise(GP, 0);
      // Fixed bits. SDM 3B 18.2.3, 18.2.4.
      const low = Number(value);
      state.set(name, name === 'dr6' ? (low & 0xe00f) | 0xffff0ff0 : (low & 0xffff2bff) | 0x400);
    } else state.set64(name, value);
    if (name !== 'dr6') breakpointsChanged(cx);
    return 0;
  },
});

/** Args: linear address (64). */
export const invlpg = defineSlow({
  name: 'invlpg',
  ref: 'SDM 2A INVLPG',
  run(cx) {
    if (exits(cx.state, POLICY_INVLPG)) return 1;
    cx.mmu.flushPage(cx.state.argVa(0));
    return 0;
  },
});

/** Args: type (64), linear address of the descriptor (64). No PCID but the current one has entries. SDM 3A 4.10.4.1. */
export const invpcid = defineSlow({
  name: 'invpcid',
  ref: 'SDM 2A INVPCID',
  run(cx) {
    const { state } = cx;
    const type = state.arg64(0);
    if (type > 3n) return state.raise(GP, 0);
    if (!cx.mmu.read(state.argVa(1), 16, 'current')) return 1;
    const pcid = cx.mmu.buf.getUint32(0, true);
    const address = cx.mmu.buf.getInt32(12, true) * 4294967296 + cx.mmu.buf.getUint32(8, true);
    const reserved = pcid >>> 12 !== 0 || cx.mmu.buf.getUint32(4, true) !== 0;
    const enabled = (state.get(FIELDS.cr4) & CR4_PCIDE) !== 0;
    if (reserved || (type < 2n && pcid !== 0 && !enabled)) return state.raise(GP, 0);
    if (type === 0n && !isCanonical(address)) return state.raise(GP, 0);
    if (type === 2n) cx.mmu.flushAll();
    else if (type === 3n) cx.mmu.flushNonGlobal();
    else if (pcid === (enabled ? state.get(FIELDS.cr3) & 0xfff : 0))
      type === 0n ? cx.mmu.flushPage(address) : cx.mmu.flushNonGlobal();
    return 0;
  },
});

function writeCr0(cx: Cx, value: number): 0 | 1 {
  const { state } = cx;
  const old = state.get(FIELDS.cr0);
  const paging = (value & CR0_PG) !== 0;
  if ((paging && !(value & CR0_PE)) || (value & CR0_NW && !(value & CR0_CD)))
    return state.raise(GP, 0);
  if (paging !== ((old & CR0_PG) !== 0) && !switchPaging(cx, paging)) return state.raise(GP, 0);
  const next = ((value & CR0_ALL) | CR0_ET) >>> 0;
  state.set(FIELDS.cr0, next);
  if ((next ^ old) & CR0_FLUSHING) cx.mmu.flushAll();
  cx.modeChanged();
  return 0;
}

/** IA-32e mode begins and ends with paging. SDM 3A 10.8.5. False: not now. */
function switchPaging(cx: Cx, on: boolean): boolean {
  const { state } = cx;
  const efer = state.get(FIELDS.efer);
  const code64 = (state.seg(CS, SEG_ATTR) & ATTR_L) !== 0;
  if (on && efer & EFER_LME) {
    if (!(state.get(FIELDS.cr4) & CR4_PAE) || code64) return false;
    state.set(FIELDS.efer, efer | EFER_LMA);
  }
  if (!on) {
    if (state.get(FIELDS.codeMode) === 64 || state.get(FIELDS.cr4) & CR4_PCIDE) return false;
    state.set(FIELDS.efer, efer & ~EFER_LMA);
  }
  return true;
}

/** Entries of other PCIDs are never kept, so that bit 63 (no flush) changes nothing: SDM 3A 4.10.4.1 allows it. */
function writeCr3(cx: Cx, low: number, high: number): 0 | 1 {
  const { state } = cx;
  const noFlushAllowed = (state.get(FIELDS.cr4) & CR4_PCIDE) !== 0;
  if (high & CR3_RESERVED_HI || (high & CR3_NO_FLUSH_HI && !noFlushAllowed))
    return state.raise(GP, 0);
  state.setHalves(FIELDS.cr3, low, high & ~CR3_NO_FLUSH_HI);
  cx.mmu.flushNonGlobal();
  return 0;
}

function writeCr4(cx: Cx, value: number): 0 | 1 {
  const { state } = cx;
  const old = state.get(FIELDS.cr4);
  const long = (state.get(FIELDS.efer) & EFER_LMA) !== 0;
  if (value & ~CR4_ALL || (long && !(value & CR4_PAE))) return state.raise(GP, 0);
  const beginsPcid = (value & ~old & CR4_PCIDE) !== 0;
  if (beginsPcid && (!long || (state.get(FIELDS.cr3) & 0xfff) !== 0)) return state.raise(GP, 0);
  state.set(FIELDS.cr4, value);
  if ((value ^ old) & CR4_DE) breakpointsChanged(cx);
  if ((value ^ old) & CR4_FLUSHING) cx.mmu.flushAll();
  cx.modeChanged();
  return 0;
}

/** Instruction breakpoints hold from the next instruction on: the engine must not run into a block. */
function breakpointsChanged(cx: Cx): void {
  cx.mmu.breakpointsChanged();
  if (codeArmed(cx.state)) cx.state.set(FIELDS.attention, 1);
}

/** DR4 and DR5 are DR6 and DR7 unless CR4.DE forbids it. Null: a fault is raised. SDM 3B 18.2.2. */
function debugRegister(cx: Cx, n: number): FieldName | null {
  const { state } = cx;
  if (exits(state, POLICY_DR)) return null;
  const aliased = n === 4 || n === 5;
  if (n > 7 || (aliased && state.get(FIELDS.cr4) & CR4_DE)) {
    state.raise(UD, null);
    return null;
  }
  if (state.get(FIELDS.dr7) & DR7_GD) {
    commitDebug(state, DR6_BD);
    state.raise(DB, null);
    return null;
  }
  return DEBUG_ADDRESSES[n] ?? ((n & 1) === 0 ? 'dr6' : 'dr7');
}
