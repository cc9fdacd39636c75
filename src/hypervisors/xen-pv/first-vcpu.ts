// The first vCPU of a PV guest at its entry, as Xen's toolstack leaves it.

import {
  CR0_AM,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4_DE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_PAE,
  CR4_PGE,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EFER_SCE,
  EFLAGS_IF,
} from '../../cpu/control-bits.ts';
import {
  CS,
  DPL3,
  FLAT_CODE32,
  FLAT_CODE64,
  FLAT_DATA,
  LDTR,
  SS_REG,
  setNullSegment,
  setSegmentTo,
  TR,
} from '../../cpu/descriptors.ts';
import { reset } from '../../cpu/reset.ts';
import { ATTR_DPL_SHIFT, type State } from '../../cpu/state.ts';
import { FLAT_RING1_CS, FLAT_RING1_DS, FLAT_RING3_CS64, FLAT_RING3_DS } from './abi.ts';
import { currentVcpu, loadNewTable, type PvDomain } from './pv-domain.ts';
import { GDT_LIMIT, GDT_PAGES, gdtAt } from './xen-space.ts';

const RSI = 6;
const RSP = 4;
const FLAT_LIMIT = 0xffffffff;
const BUSY_TSS = 0x8b;
const TSS_SELECTOR = 0xe040;
const DPL1 = 1 << ATTR_DPL_SHIFT;
const DATA_SEGMENTS = [0, 3, 4, 5] as const;

/** Virtual addresses. */
export interface FirstVcpu {
  readonly entry: number;
  readonly startInfo: number;
  /** Behind its last byte. */
  readonly stackEnd: number;
  /** Machine frame of the top-level table. */
  readonly table: number;
}

/** xen.h, start-of-day; fact sheet 2.7. The processor is in long mode for guests of both widths. */
export function startVcpu(pv: PvDomain, { entry, startInfo, stackEnd, table }: FirstVcpu): void {
  const { cpu } = pv;
  const { state } = cpu;
  reset(state);
  state.set('cr0', (CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG) >>> 0);
  // PGE is the processor's: user pages of both address spaces survive the switch between them.
  state.set('cr4', CR4_PAE | CR4_DE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT);
  state.set('efer', EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE);
  if (pv.state.narrow) ringOne(state);
  else ringThree(state);
  for (let n = 0; n < GDT_PAGES; n++) pv.space.mapGdt(pv.current, n, -1);
  state.setVa('gdtrBase', gdtAt(pv.current));
  state.set('gdtrLimit', GDT_LIMIT);
  // Every exception exits: no table of the guest's, and none of ours, is ever looked at.
  state.set('idtrLimit', 0);
  setSegmentTo(state, TR, TSS_SELECTOR, 0, 0, BUSY_TSS);
  setNullSegment(state, LDTR, 0);
  state.set('eflags', 2 | EFLAGS_IF);
  state.setVa('rip', entry);
  state.setGpr(RSI, BigInt.asUintN(64, BigInt(startInfo)));
  state.setGpr(RSP, BigInt.asUintN(64, BigInt(stackEnd)));
  const vcpu = currentVcpu(pv);
  vcpu.kernelTable = table;
  loadNewTable(pv, table);
  cpu.stateChanged();
}

function ringThree(state: State): void {
  setSegmentTo(state, CS, FLAT_RING3_CS64, 0, FLAT_LIMIT, FLAT_CODE64 | DPL3);
  setSegmentTo(state, SS_REG, FLAT_RING3_DS, 0, FLAT_LIMIT, FLAT_DATA | DPL3);
  for (const n of DATA_SEGMENTS) setNullSegment(state, n, 0);
  state.set('cpl', 3);
}

function ringOne(state: State): void {
  setSegmentTo(state, CS, FLAT_RING1_CS, 0, FLAT_LIMIT, FLAT_CODE32 | DPL1);
  for (const n of [SS_REG, ...DATA_SEGMENTS])
    setSegmentTo(state, n, FLAT_RING1_DS, 0, FLAT_LIMIT, FLAT_DATA | DPL1);
  state.set('cpl', 1);
}
