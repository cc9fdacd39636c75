// The lguest host as its calls and traps see it: what it keeps of its guest, the guest's memory, and how it ends one.

import type { Cpu } from '../../cpu/core.ts';
import type { GuestRam } from '../../machine/memory.ts';
import type { Platform } from '../define.ts';
import { lguestData } from './abi.ts';
import type { Descriptors } from './descriptors.ts';
import type { Shadow } from './shadow.ts';

export const IDT_ENTRIES = 256;
export const GDT_ENTRIES = 32;

/** All that the host keeps beside its frames. */
export interface HostState {
  dead: boolean;
  /** The guest has made a call. */
  called: boolean;
  pae: boolean;
  /** Guest-physical address of `lguest_data`; -1 before LGUEST_INIT. */
  data: number;
  /** Next slot of the asynchronous ring. */
  nextHcall: number;
  /** Lines that are raised, by bit. */
  pending: number;
  halted: boolean;
  noirqStart: number;
  noirqEnd: number;
  kernelAddress: number;
  syscallVec: number;
  /** Where an entry from ring 3 begins. */
  ss1: number;
  esp1: number;
  stackPages: number;
  readonly idtLo: Uint32Array;
  readonly idtHi: Uint32Array;
  /** As the guest gave them, with DPL and accessed bit put right. */
  readonly gdtLo: Uint32Array;
  readonly gdtHi: Uint32Array;
  /** Instructions retired when the guest was last entered at a handler. */
  lastEntry: number;
}

export function freshHostState(): HostState {
  return {
    dead: false,
    called: false,
    pae: false,
    data: -1,
    nextHcall: 0,
    pending: 0,
    halted: false,
    noirqStart: 0,
    noirqEnd: 0,
    kernelAddress: 0,
    syscallVec: 0,
    ss1: 0,
    esp1: 0,
    stackPages: 0,
    idtLo: new Uint32Array(IDT_ENTRIES),
    idtHi: new Uint32Array(IDT_ENTRIES),
    gdtLo: new Uint32Array(GDT_ENTRIES),
    gdtHi: new Uint32Array(GDT_ENTRIES),
    lastEntry: -1,
  };
}

export interface LguestHost {
  readonly platform: Platform;
  readonly cpu: Cpu;
  readonly state: HostState;
  /** What the guest may name by physical addresses: its RAM and the device pages above it, and nothing of the host's. */
  readonly memory: GuestRam;
  /** The linear memory, for words that are known to lie in the guest's, and who is to hear of writes to them. */
  readonly view: DataView;
  /** Where RAM begins there. */
  readonly ramBase: number;
  readonly written: (gpa: number, bytes: number) => void;
  /** The vCPU's state, by words. */
  readonly vcpuWords: Int32Array;
  readonly shadow: Shadow;
  readonly descriptors: Descriptors;
  /** For the words that a handler finds on its stack, the lowest first. */
  readonly frame: Uint32Array;
  /** On every way to the guest. */
  enter(): void;
  /** A NOTIFY of the guest's: a device, or text. */
  notify(gpa: number): void;
  /** Once it is known which kind of tables the guest has: the host's pages at the top of its address spaces. */
  mapOwn(): void;
  /** Rings the guest's clock once, so many nanoseconds from now; 0: not at all. */
  setClockEvent(nanos: number): void;
}

/** The guest has done what ends it: the first reason counts. */
export function killGuest({ state, cpu, platform }: LguestHost, why: string): void {
  if (state.dead) return;
  state.dead = true;
  const silent =
    state.data < 0 ? '; it never called LGUEST_INIT: was it built with CONFIG_LGUEST_GUEST?' : '';
  platform.power.end(
    `lguest has ended its guest: ${why} (eip ${hex(cpu.state.get('rip'))})${silent}`,
  );
}

/** Where `lguest_data` has its words: some are asked for on every way to the guest. */
export const DATA = {
  irq_enabled: lguestData.offsetOf('irq_enabled'),
  blocked_interrupts: lguestData.offsetOf('blocked_interrupts'),
  cr2: lguestData.offsetOf('cr2'),
  time_sec: lguestData.offsetOf('time_sec'),
  irq_pending: lguestData.offsetOf('irq_pending'),
  pgdir: lguestData.offsetOf('pgdir'),
  reserve_mem: lguestData.offsetOf('reserve_mem'),
  tsc_khz: lguestData.offsetOf('tsc_khz'),
  noirq_start: lguestData.offsetOf('noirq_start'),
  noirq_end: lguestData.offsetOf('noirq_end'),
  kernel_address: lguestData.offsetOf('kernel_address'),
  syscall_vec: lguestData.offsetOf('syscall_vec'),
} as const;

/** A word of `lguest_data` by its place, which has been checked to lie in the guest's memory. */
export function readData(host: LguestHost, at: number): number {
  return host.view.getUint32(host.ramBase + host.state.data + at, true);
}

export function writeData(host: LguestHost, at: number, value: number): void {
  const gpa = host.state.data + at;
  host.view.setUint32(host.ramBase + gpa, value, true);
  host.written(gpa, 4);
}

/** A word of the guest's memory by its physical address, or 0 and the guest is dead. */
export function readGuest(host: LguestHost, gpa: number): number {
  if (gpa >= 0 && gpa + 4 <= host.memory.bytes)
    return host.view.getUint32(host.ramBase + gpa, true);
  killGuest(host, `bad read address ${hex(gpa)} len 4`);
  return 0;
}

export function writeGuest(host: LguestHost, gpa: number, value: number): void {
  if (!host.memory.setU32(gpa, value >>> 0)) badWrite(host, gpa);
}

export const badWrite = (host: LguestHost, gpa: number): void =>
  killGuest(host, `bad write address ${hex(gpa)} len 4`);

export const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;
