// Model-specific registers that the CPU owns; the border answers for all others.

import {
  CR0_PG,
  EFER_AIBRSE,
  EFER_FFXSR,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
  isCanonical,
} from './control-bits.ts';
import { FS, GS } from './descriptors.ts';
import type { Cx } from './slow/define.ts';
import {
  FIELDS,
  type FieldName,
  MSR_AT,
  SEG_AT,
  SEG_BASE,
  SEG_STRIDE,
  type State,
} from './state.ts';

export const MSR_TSC = 0x10;
export const MSR_TSC_ADJUST = 0x3b;
export const MSR_PATCH_LEVEL = 0x8b;
export const MSR_MTRRCAP = 0xfe;
export const MSR_SYSENTER_CS = 0x174;
export const MSR_SYSENTER_ESP = 0x175;
export const MSR_SYSENTER_EIP = 0x176;
export const MSR_MCG_CAP = 0x179;
export const MSR_MCG_STATUS = 0x17a;
export const MSR_MISC_ENABLE = 0x1a0;
export const MSR_DEBUGCTL = 0x1d9;
export const MSR_MTRR_PHYSBASE0 = 0x200;
export const MSR_PAT = 0x277;
export const MSR_MTRR_DEF_TYPE = 0x2ff;
export const MSR_EFER = 0xc0000080;
export const MSR_STAR = 0xc0000081;
export const MSR_LSTAR = 0xc0000082;
export const MSR_CSTAR = 0xc0000083;
export const MSR_SFMASK = 0xc0000084;
export const MSR_FS_BASE = 0xc0000100;
export const MSR_GS_BASE = 0xc0000101;
export const MSR_KERNEL_GS_BASE = 0xc0000102;
export const MSR_TSC_AUX = 0xc0000103;
export const MSR_SYSCFG = 0xc0010010;
export const MSR_HWCR = 0xc0010015;
/** Northbridge configuration: Linux sets EnableCf8ExtCfg in it on family 10h and later. BKDG 10h 3.12. */
export const MSR_AMD64_NB_CFG = 0xc001001f;
/** Interrupt pending and CMP-halt: Linux 2.6.27 to 2.6.37 reads it in its idle loop on family 10h and later. BKDG 10h. */
export const MSR_INT_PENDING = 0xc0010055;
/** Four selects of performance events, and behind them their counters, of every AMD64 processor. APM 2 13.2.1. */
export const MSR_PERF_EVT_SEL0 = 0xc0010000;
export const MSR_PERF_CTR0 = 0xc0010004;
const PERF_COUNTERS = 4;
export const MSR_DE_CFG = 0xc0011029;
/** Branch predictor configuration: Xen looks at it on family 19h when nothing says that it is virtualised. */
export const MSR_AMD64_BP_CFG = 0xc001102e;

/** Eight variable-range pairs, fixed ranges, write-combining. SDM 3A 12.11.1. */
const MTRRCAP_VALUE = 8 | (1 << 8) | (1 << 10);
/** The TSC counts at the frequency of P0: Linux warns of firmware that leaves it clear. BKDG 10h, MSRC001_0015. */
export const HWCR_TSC_FREQ_SEL = 1 << 24;

const FIXED_MTRRS = [0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f];

/** Registers that hold a value and do nothing, in the order of their slots behind MSR_AT. */
const STORED: readonly number[] = [
  ...FIXED_MTRRS,
  ...Array.from({ length: 16 }, (_, n) => MSR_MTRR_PHYSBASE0 + n),
  MSR_DEBUGCTL,
  MSR_MCG_STATUS,
  MSR_SYSCFG,
  MSR_HWCR,
  MSR_DE_CFG,
  MSR_AMD64_NB_CFG,
  MSR_AMD64_BP_CFG,
];
const SLOTS = new Map(STORED.map((index, n) => [index, MSR_AT + n * 8]));
/** The performance counters' slots behind those. */
const PERF_AT = MSR_AT + STORED.length * 8;

const FIELD_OF: Readonly<Record<number, FieldName>> = {
  [MSR_SYSENTER_ESP]: 'sysenterEsp',
  [MSR_SYSENTER_EIP]: 'sysenterEip',
  [MSR_MISC_ENABLE]: 'miscEnable',
  [MSR_PAT]: 'pat',
  [MSR_MTRR_DEF_TYPE]: 'mtrrDefType',
  [MSR_STAR]: 'star',
  [MSR_LSTAR]: 'lstar',
  [MSR_CSTAR]: 'cstar',
  [MSR_SFMASK]: 'sfmask',
  [MSR_KERNEL_GS_BASE]: 'kernelGsBase',
};
/** Those that take canonical addresses only. SDM 2B WRMSR. */
const ADDRESSES = new Set([
  MSR_SYSENTER_ESP,
  MSR_SYSENTER_EIP,
  MSR_LSTAR,
  MSR_CSTAR,
  MSR_FS_BASE,
  MSR_GS_BASE,
  MSR_KERNEL_GS_BASE,
]);

/** False: no such register, #GP(0). */
export function readMsr(cx: Cx, index: number, out: Uint32Array): boolean {
  const { state } = cx;
  const at = offsetOf(index);
  if (at !== undefined) {
    put(out, state.views.u64[(state.base + at) >> 3] as bigint);
    return true;
  }
  const value = readComputed(cx, index);
  if (value === null) return cx.border.rdmsr(index, out);
  put(out, value);
  return true;
}

/** False: no such register, or a value that it does not take: #GP(0). */
export function writeMsr(cx: Cx, index: number, lo: number, hi: number): boolean {
  const { state } = cx;
  const value = (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
  if (ADDRESSES.has(index) && !isCanonical((hi | 0) * 4294967296 + (lo >>> 0))) return false;
  if (index === MSR_PAT && !validPat(value)) return false;
  if (index === MSR_MTRR_DEF_TYPE && !validDefType(value)) return false;
  const at = offsetOf(index);
  if (at === undefined) return writeComputed(cx, index, lo >>> 0, hi >>> 0, value);
  state.views.u64[(state.base + at) >> 3] = value;
  return true;
}

/** Values that firmware leaves behind: all memory write-back, the legacy device hole uncached. */
export function resetMsrs(state: State): void {
  for (const at of SLOTS.values()) state.views.u64[(state.base + at) >> 3] = 0n;
  for (let n = 0; n < 2 * PERF_COUNTERS; n++)
    state.views.u64[((state.base + PERF_AT) >> 3) + n] = 0n;
  const set = (index: number, value: bigint) => {
    state.views.u64[(state.base + (SLOTS.get(index) as number)) >> 3] = value;
  };
  const writeBack = 0x0606060606060606n;
  const writeProtected = 0x0505050505050505n;
  set(0x250, writeBack);
  set(0x258, writeBack);
  for (let index = 0x268; index <= 0x26f; index++) set(index, writeProtected);
  set(MSR_HWCR, BigInt(HWCR_TSC_FREQ_SEL));
  state.set64('pat', 0x0007040600070406n);
  // Default type write-back, fixed ranges on, MTRRs on. SDM 3A 12.11.2.1.
  state.set64('mtrrDefType', 0xc06n);
  state.set64('miscEnable', 1n);
}

/** Offset within the state of a register that lives there as 64 bits. */
function offsetOf(index: number): number | undefined {
  const name = FIELD_OF[index];
  if (name !== undefined) return FIELDS[name].at;
  if (index === MSR_FS_BASE) return SEG_AT + FS * SEG_STRIDE + SEG_BASE;
  if (index === MSR_GS_BASE) return SEG_AT + GS * SEG_STRIDE + SEG_BASE;
  return SLOTS.get(index);
}

function readComputed(cx: Cx, index: number): bigint | null {
  const { state } = cx;
  switch (index) {
    case MSR_TSC:
      return BigInt.asUintN(64, cx.tsc());
    case MSR_TSC_ADJUST:
      return state.get64('tscOffset');
    case MSR_TSC_AUX:
      return BigInt(state.get('tscAux'));
    case MSR_SYSENTER_CS:
      return BigInt(state.get('sysenterCs'));
    case MSR_EFER:
      return BigInt(state.get('efer'));
    case MSR_MTRRCAP:
      return BigInt(MTRRCAP_VALUE);
    case MSR_MCG_CAP:
    case MSR_PATCH_LEVEL:
    case MSR_INT_PENDING: // No C1E: the one core halts as it is told to.
      return 0n;
    default:
      return isPerf(index) ? readPerf(cx, index - MSR_PERF_EVT_SEL0) : null;
  }
}

function writeComputed(cx: Cx, index: number, lo: number, hi: number, value: bigint): boolean {
  const { state } = cx;
  switch (index) {
    case MSR_TSC:
      state.set64('tscOffset', BigInt.asUintN(64, state.get64('tscOffset') + value - cx.tsc()));
      return true;
    case MSR_TSC_ADJUST:
      state.set64('tscOffset', value);
      return true;
    case MSR_TSC_AUX:
      if (hi !== 0) return false;
      state.set('tscAux', lo);
      return true;
    case MSR_SYSENTER_CS:
      state.set('sysenterCs', lo);
      return true;
    case MSR_EFER:
      return hi === 0 && writeEfer(cx, lo);
    case MSR_PATCH_LEVEL:
      return true;
    case MSR_MTRRCAP:
    case MSR_MCG_CAP:
    case MSR_INT_PENDING:
      return false;
    default:
      if (!isPerf(index)) return cx.border.wrmsr(index, lo, hi);
      writePerf(cx, index - MSR_PERF_EVT_SEL0, value);
      return true;
  }
}

const isPerf = (index: number): boolean =>
  index >= MSR_PERF_EVT_SEL0 && index < MSR_PERF_CTR0 + PERF_COUNTERS;

/** A select with EN and CPU Clocks Not Halted: Linux 2.6.32 measures the TSC by it. APM 2 13.2.1, BKDG 10h 3.14. */
const PERF_SELECT_MASK = 0xf_0040_00ffn;
const PERF_COUNTS_CLOCKS = 0x40_0076n;
const perfAt = ({ state }: Cx, n: number) => (state.base + PERF_AT + n * 8) >> 3;

/**
 * Deviates: other events do not happen, and a counter always begins at 0: nothing interrupts when it overflows, and a
 * kernel that finds that it cannot set one does without.
 */
function readPerf(cx: Cx, n: number): bigint {
  const { u64 } = cx.state.views;
  if (n < PERF_COUNTERS) return u64[perfAt(cx, n)] as bigint;
  const select = u64[perfAt(cx, n - PERF_COUNTERS)] as bigint;
  if ((select & PERF_SELECT_MASK) !== PERF_COUNTS_CLOCKS) return 0n;
  return BigInt.asUintN(48, cx.tsc() - (u64[perfAt(cx, n)] as bigint));
}

/** Behind the selects is kept where the TSC was when each was written. */
function writePerf(cx: Cx, n: number, value: bigint): void {
  if (n >= PERF_COUNTERS) return;
  const { u64 } = cx.state.views;
  u64[perfAt(cx, n)] = value;
  u64[perfAt(cx, n + PERF_COUNTERS)] = BigInt.asUintN(64, cx.tsc());
}

const EFER_WRITABLE = EFER_SCE | EFER_LME | EFER_NXE | EFER_FFXSR | EFER_AIBRSE;

/** LMA follows from LME and CR0.PG and ignores writes; LME may not change while paging is on. SDM 3A 2.2.1. */
function writeEfer(cx: Cx, lo: number): boolean {
  const { state } = cx;
  const old = state.get('efer');
  if (lo & ~(EFER_WRITABLE | EFER_LMA)) return false;
  if ((lo ^ old) & EFER_LME && state.get('cr0') & CR0_PG) return false;
  state.set('efer', (lo & EFER_WRITABLE) | (old & EFER_LMA));
  if ((lo ^ old) & EFER_NXE) cx.mmu.flushAll();
  cx.modeChanged();
  return true;
}

/** Memory types 0, 1, 4, 5, 6 and, in the PAT, 7. SDM 3A 12.12.2. */
function validPat(value: bigint): boolean {
  for (let n = 0n; n < 64n; n += 8n) {
    const type = Number((value >> n) & 0xffn);
    if (type > 7 || type === 2 || type === 3) return false;
  }
  return true;
}

function validDefType(value: bigint): boolean {
  const type = Number(value & 0xffn);
  return (value & ~0xcffn) === 0n && type <= 6 && type !== 2 && type !== 3;
}

function put(out: Uint32Array, value: bigint): void {
  out[0] = Number(value & 0xffffffffn);
  out[1] = Number(value >> 32n);
}
