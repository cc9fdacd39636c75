// What Xen keeps of a PV domain beside the family's state: per vCPU its tables, callbacks, stacks and virtual registers.

import { widen } from '../../base/widen.ts';
import { DR6_ALWAYS, DR7_ALWAYS } from './abi.ts';
import { GDT_PAGES, LDT_PAGES } from './xen-space.ts';

/** Where an entry of some kind goes; address 0: not registered. */
export interface CallbackState {
  address: number;
  /** 32-bit guests name the code segment too. */
  cs: number;
  masksEvents: boolean;
}

export interface PvVcpuState {
  /** 64-bit kernels run in ring 3 as their programs do: Xen alone knows which it is. 32-bit ones run in ring 1. */
  kernelMode: boolean;
  /** Top-level tables of kernel and user, by machine frame; -1: none. A 32-bit guest has one for both. */
  kernelTable: number;
  userTable: number;
  /** The stack that an entry from user mode begins on. */
  kernelSs: number;
  kernelSp: number;
  /** The virtual IDT. */
  readonly trapAddress: Float64Array;
  readonly trapFlags: Uint8Array;
  readonly trapCs: Uint16Array;
  event: CallbackState;
  failsafe: CallbackState;
  syscall: CallbackState;
  sysenter: CallbackState;
  syscall32: CallbackState;
  /** CR0.TS and CR4 as the guest sees them. */
  taskSwitched: boolean;
  cr4: number;
  cr2: number;
  /** DR0 to DR3, DR6, DR7. */
  readonly debug: Float64Array;
  /** IOPL that the guest has asked for, 0 to 3. */
  iopl: number;
  /** Machine frames of the guest's GDT pages, and of LDT pages that are mapped; -1: none. */
  readonly gdtFrames: Float64Array;
  gdtEntries: number;
  readonly ldtFrames: Float64Array;
  ldtBase: number;
  ldtEntries: number;
}

export interface PvState {
  /** A 32-bit PAE guest. */
  narrow: boolean;
  /** VMASST_TYPE_* bits. */
  assists: number;
  /** Instructions retired when the guest's kernel was last entered by a bounce. */
  lastBounce: number;
  /** Physical interrupts that it has reserved, and the frame of its map of them; -1: none. */
  pirqs: number[];
  eoiFrame: number;
  /** Bytes of its memory map. */
  memoryMap: number[];
  /** Pages that the domain has now, and may have at most. */
  pages: number;
  maxPages: number;
  /** Frames that are nobody's, last one first. */
  readonly free: Uint32Array;
  freeCount: number;
  /** Frames of Xen's own that are in use: the first ones of its list. */
  ownFrames: number;
  /** Those among them that are shared with the guest and wait for another use. */
  reclaimed: number[];
  vcpus: PvVcpuState[];
}

const callback = (): CallbackState => ({ address: 0, cs: 0, masksEvents: false });

export function freshPvVcpu(): PvVcpuState {
  const state = {
    kernelMode: true,
    kernelTable: -1,
    userTable: -1,
    kernelSs: 0,
    kernelSp: 0,
    trapAddress: new Float64Array(256),
    trapFlags: new Uint8Array(256),
    trapCs: new Uint16Array(256),
    event: callback(),
    failsafe: callback(),
    syscall: callback(),
    sysenter: callback(),
    syscall32: callback(),
    taskSwitched: false,
    cr4: 0,
    cr2: 0,
    debug: Float64Array.of(0, 0, 0, 0, 0, 0, DR6_ALWAYS, DR7_ALWAYS),
    iopl: 0,
    gdtFrames: new Float64Array(GDT_PAGES).fill(-1),
    gdtEntries: 0,
    ldtFrames: new Float64Array(LDT_PAGES).fill(-1),
    ldtBase: 0,
    ldtEntries: 0,
  };
  return widen(state, 'kernelTable', 'userTable', 'kernelSp', 'cr2', 'ldtBase');
}
