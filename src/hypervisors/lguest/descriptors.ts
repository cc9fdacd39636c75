// The guest's GDT: entries as it gives them, put right, in a page of the host's own that the processor reads.

import {
  attrOf,
  CS,
  type Descriptor,
  DS,
  dplOf,
  ES,
  FS,
  GS,
  isCode,
  isNull,
  isWritableData,
  loadSegment,
  SS_REG,
  setNullSegment,
  setSegment,
  TYPE_CONFORMING,
} from '../../cpu/descriptors.ts';
import { ATTR_P, FIELDS, SEG_AT, SEG_SELECTOR, SEG_STRIDE } from '../../cpu/state.ts';
import { GUEST_PL } from './abi.ts';
import { GDT_ENTRIES, killGuest, type LguestHost } from './host.ts';

/** arch/x86/include/asm/segment.h (2.6.32); __KERNEL_CS and __KERNEL_DS with the guest's ring. */
const GDT_ENTRY_TLS_MIN = 6;
const GDT_ENTRY_KERNEL_CS = 12;
const GDT_ENTRY_KERNEL_DS = 13;
export const KERNEL_CS = GDT_ENTRY_KERNEL_CS * 8 + GUEST_PL;
export const KERNEL_DS = GDT_ENTRY_KERNEL_DS * 8 + GUEST_PL;
/** Flat ones, accessed, of ring 1: what a guest starts on (drivers/lguest/segments.c, 2.6.32). */
const FIRST_CODE = [0x0000ffff, 0x00cfbb00] as const;
const FIRST_DATA = [0x0000ffff, 0x00cfb300] as const;
/** The switcher's code and data, the TSS and the one of double faults: never taken from a guest. */
const IGNORED: ReadonlySet<number> = new Set([10, 11, 16, 31]);
const HI_ACCESSED = 0x100;
const HI_S = 0x1000;
const HI_DPL = 0x6000;
const HI_DPL_SHIFT = 13;
const TLS_ENTRIES = 3;
/** Linear address of the page in which the live table lies, from the start of the switcher's part. */
export const GDT_OFFSET = 0x1000;
export const TSS_OFFSET = 0x2000;

/** Words of the state: the ring, and all that the processor holds of a segment, its selector last. */
const CPL = FIELDS.cpl.at >> 2;
const [CODE, STACK] = [CS, SS_REG].map((n) => (SEG_AT + n * SEG_STRIDE) >> 2) as [number, number];
const SELECTOR = SEG_SELECTOR >> 2;
const HELD_WORDS = SELECTOR + 1;
/** Behind those, the entry that they come from. */
const [LO, HI] = [HELD_WORDS, HELD_WORDS + 1];
/** No segment has such words. */
const nothing = () => new Int32Array(HI + 1).fill(-1);

export class Descriptors {
  private host!: LguestHost;
  private readonly at: number;
  /** What a handler was last entered with. */
  private readonly code = nothing();
  private readonly stack = nothing();

  /** `at`: where the live table lies, in a frame of the host's own. */
  constructor(at: number) {
    this.at = at;
  }

  connect(host: LguestHost): void {
    this.host = host;
  }

  start(): void {
    this.store(GDT_ENTRY_KERNEL_CS, ...FIRST_CODE);
    this.store(GDT_ENTRY_KERNEL_DS, ...FIRST_DATA);
  }

  /** LOAD_GDT_ENTRY. Segment registers keep what they hold until they are loaded again. */
  store(index: number, lo: number, hi: number): void {
    const { gdtLo, gdtHi } = this.host.state;
    // A ring of 0 becomes the guest's; an accessed bit that is set already needs no write to the table.
    const ring = (hi & HI_DPL) === 0 ? hi | (GUEST_PL << HI_DPL_SHIFT) : hi;
    gdtLo[index] = lo;
    gdtHi[index] = ring | HI_ACCESSED;
    // Deviates: gates and task state segments of a guest would lead out of its ring; the real host let them stand.
    const live = !IGNORED.has(index) && (hi & HI_S) !== 0;
    const { ram } = this.host.platform;
    ram.setU64(this.at + index * 8, live ? gdtLo[index]! : 0, live ? gdtHi[index]! : 0);
  }

  /** LOAD_TLS. */
  storeTls(words: readonly number[]): void {
    for (let n = 0; n < TLS_ENTRIES; n++)
      this.store(GDT_ENTRY_TLS_MIN + n, words[2 * n]!, words[2 * n + 1]!);
  }

  /** Code and stack of a handler. False: the guest has spoilt its own segments, and is dead. */
  enterKernel(ss: number): boolean {
    if (this.isOn(ss)) return true;
    const { cpu } = this.host;
    const code = this.live(KERNEL_CS);
    const stack = this.live(ss);
    if (!code || !fitsKernelCode(code)) return this.refuse('code', KERNEL_CS);
    if (!stack || !fitsKernelStack(stack, ss)) return this.refuse('stack', ss);
    setSegment(cpu.state, CS, KERNEL_CS, code);
    setSegment(cpu.state, SS_REG, ss, stack);
    this.note(CODE, this.code, code);
    this.note(STACK, this.stack, stack);
    cpu.state.setWord(FIELDS.cpl, GUEST_PL);
    cpu.stateChanged();
    return true;
  }

  /** Whether the processor is there already: it holds what these entries say, and they are those last found fit. */
  private isOn(ss: number): boolean {
    return (
      this.host.vcpuWords[CPL] === GUEST_PL &&
      this.holds(CODE, KERNEL_CS, this.code) &&
      this.holds(STACK, ss, this.stack)
    );
  }

  private holds(segment: number, selector: number, noted: Int32Array): boolean {
    const { vcpuWords, view, ramBase } = this.host;
    if (noted[SELECTOR] !== selector) return false;
    for (let n = 0; n < HELD_WORDS; n++) if (vcpuWords[segment + n] !== noted[n]) return false;
    const at = ramBase + this.at + (selector >>> 3) * 8;
    return view.getInt32(at, true) === noted[LO] && view.getInt32(at + 4, true) === noted[HI];
  }

  private note(segment: number, to: Int32Array, { lo, hi }: Descriptor): void {
    to.set(this.host.vcpuWords.subarray(segment, segment + HELD_WORDS));
    to.set([lo, hi], LO);
  }

  /** What the first instruction finds. */
  loadFirst(): void {
    const { state, cx } = this.host.cpu;
    this.enterKernel(KERNEL_DS);
    for (const n of [DS, ES]) loadSegment(cx, n, KERNEL_DS);
    for (const n of [FS, GS]) setNullSegment(state, n, 0);
    this.host.cpu.stateChanged();
  }

  private live(selector: number): Descriptor | null {
    if (isNull(selector) || selector & 4 || selector >>> 3 >= GDT_ENTRIES) return null;
    const at = this.at + (selector >>> 3) * 8;
    const { ram } = this.host.platform;
    const descriptor = { at, lo: ram.u32(at), hi: ram.u32(at + 4) };
    return attrOf(descriptor) & ATTR_P ? descriptor : null;
  }

  private refuse(what: string, selector: number): false {
    killGuest(this.host, `bad ${what} segment 0x${selector.toString(16)}`);
    return false;
  }
}

function fitsKernelCode(d: Descriptor): boolean {
  const attr = attrOf(d);
  return isCode(attr) && (attr & TYPE_CONFORMING) === 0 && dplOf(attr) === GUEST_PL;
}

function fitsKernelStack(d: Descriptor, selector: number): boolean {
  const attr = attrOf(d);
  return isWritableData(attr) && dplOf(attr) === GUEST_PL && (selector & 3) === GUEST_PL;
}

/** Ring of the code that runs, as the stack segment tells (set_guest_interrupt of drivers/lguest/interrupts_and_traps.c). */
export const fromGuestUser = ({ vcpuWords }: LguestHost): boolean =>
  (vcpuWords[STACK + SELECTOR]! & 3) !== GUEST_PL;
