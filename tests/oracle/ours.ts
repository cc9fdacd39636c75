// Our machine on the probe image: one CPU with a serial line, put back to its start for each program.

import type { Border, Exit } from '../../src/cpu/border.ts';
import { type Cpu, createCpu, type EngineName } from '../../src/cpu/core.ts';
import { cpuidLeaf, DEFAULT_MODEL } from '../../src/cpu/cpuid.ts';
import { FRAME_DIRTY } from '../../src/cpu/frames.ts';
import { ReferenceEngine } from '../../src/cpu/reference-engine.ts';
import { reset } from '../../src/cpu/reset.ts';
import { STATE_BYTES } from '../../src/cpu/state.ts';
import type { Random } from '../../src/cpu/testing/random.ts';
import { answerOf, SHUTDOWN } from './answers.ts';
import { type Built, diskImage, singleChain, templateRuns } from './image.ts';
import { kernel } from './kernel.ts';
import * as at from './layout.ts';

const COM1 = 0x3f8;
const LINE_CONTROL = COM1 + 3;
const DIVISOR_LATCH = 0x80;
const LINE_STATUS = COM1 + 5;
/** Transmitter empty. PC16550D datasheet 8.4. */
const TRANSMITTER_EMPTY = 0x60;
/** Of one program: most take a few hundred. And with the printing of its report. */
const INSTRUCTIONS = 20_000;
const PRINTED_INSTRUCTIONS = 200_000;
const PAGE = 4096;
const MOST_AT_ONCE = 12;
/** Interrupt command register. SDM 3A 10.6.1. */
const APIC_ICR = 0xfee00300;
const DELIVERY_MODE = 0x700;
const DELIVERY_NMI = 0x400;
const SEGMENTS = 6;
/** `out EXIT_PORT, al`. */
const EXIT = Uint8Array.of(0xe6, at.EXIT_PORT);

export interface OurMachine {
  /** The answer of one program, on memory prepared by the host. */
  run(built: Built): string;
  /**
   * The answer of the same program once more, on the code as it was decoded and translated before. With `stops` the engine
   * is made to stop after every few instructions.
   */
  again(stops?: Random): string;
  /** What the engine has counted. */
  statistics(): Readonly<Record<string, number>>;
  /** Everything in one go, the image's kernel restoring memory between programs, as the peers run it. */
  runImage(list: readonly { index: number; built: Built }[]): string;
}

/** Of the reference: told of every instruction that has run, and whether it faulted. */
export type OnRun = NonNullable<ReferenceEngine['onRun']>;

export function ourMachine(engine: EngineName, onRun: OnRun | null = null): OurMachine {
  const output: number[] = [];
  let exited = false;
  let lineControl = 0;
  let waiting = -1;
  const border: Border = {
    ioRead: (port, bytes) =>
      port === LINE_STATUS ? TRANSMITTER_EMPTY : 0xffffffff >>> (32 - 8 * bytes),
    ioWrite(port, _bytes, value) {
      if (port === LINE_CONTROL) lineControl = value;
      if (port === COM1 && (lineControl & DIVISOR_LATCH) === 0) output.push(value);
      if (port !== at.EXIT_PORT) return;
      exited = true;
      cpu.requestExit();
    },
    mmioRead: (_gpa, _bytes, out) => out.fill(0xffffffff),
    // All of the local APIC that programs ask for: an interrupt to itself, or an NMI.
    mmioWrite(gpa, _bytes, lo) {
      if (gpa !== APIC_ICR) return;
      if ((lo & DELIVERY_MODE) === DELIVERY_NMI) return cpu.raiseNmi();
      waiting = lo & 0xff;
      cpu.setInterruptLine(true);
    },
    cpuid: (leaf, subleaf, out) => cpuidLeaf(DEFAULT_MODEL, leaf, subleaf, out),
    rdmsr: () => false,
    wrmsr: () => false,
    hypercall: () => false,
    acknowledgeInterrupt() {
      cpu.setInterruptLine(false);
      return waiting;
    },
  };
  const cpu = createCpu({
    ramBytes: at.RAM_BYTES,
    border,
    engine,
    // The programs follow each other in one page, and each is to be translated.
    jit: { threshold: 1, batch: 64, freeDrops: Number.POSITIVE_INFINITY },
  });
  if (cpu.engine instanceof ReferenceEngine) cpu.engine.onRun = onRun;
  const { views, layout, state } = cpu;
  const ram = views.u8.subarray(layout.ramBase, layout.ramBase + at.RAM_BYTES);
  const write = (gpa: number, bytes: Uint8Array) => {
    if (Buffer.compare(bytes, ram.subarray(gpa, gpa + bytes.length)) === 0) return;
    ram.set(bytes, gpa);
    cpu.ramWritten(gpa, bytes.length);
    for (let frame = gpa >>> 12; frame * PAGE < gpa + bytes.length; frame++)
      cpu.mmu.setFrame(frame, FRAME_DIRTY);
  };
  const go = (instructions: number, stops?: Random): Exit => {
    output.length = 0;
    exited = false;
    const end = cpu.retired() + instructions;
    for (;;) {
      const left = end - cpu.retired();
      const exit = cpu.run(stops ? Math.min(left, 1 + stops.below(MOST_AT_ONCE)) : left);
      if (exit.kind !== 'budget' || cpu.retired() >= end) return exit;
    }
  };
  const boot = () => {
    write(0, new Uint8Array(at.RAM_BYTES));
    write(at.KERNEL, kernel().bytes);
    reset(state);
    cpu.mmu.flushAll();
    cpu.mmu.breakpointsChanged();
    enterKernel(cpu);
  };

  let atEntry: Picture | null = null;
  /** Runs the kernel up to where it enters a program, once, and keeps the picture. */
  const pictureAtEntry = (): Picture => {
    const { bytes, enter, home } = kernel();
    boot();
    for (const { at: gpa, bytes: data } of templateRuns()) write(gpa, data);
    write(at.PROGRAMS, singleChain([0, 0, 0, 0, 0, 0]));
    write(at.SINGLE, Uint8Array.of(1));
    write(enter, EXIT);
    if (go(INSTRUCTIONS).kind !== 'requested') throw new Error('the probe kernel does not start');
    write(at.KERNEL, bytes);
    // A program that comes home is over: the host reads the events from memory.
    write(home, EXIT);
    state.setVa('rip', enter);
    return { state: views.u8.slice(state.base, state.base + STATE_BYTES), ram: ram.slice() };
  };
  let atStart: Picture | null = null;
  /** Puts back what has been written since `atEntry`. `clean`: that is the picture. */
  const restore = (picture: Picture, clean: boolean) => {
    for (let frame = 0; frame < at.RAM_BYTES / PAGE; frame++) {
      if (((views.u8[layout.frameAttrs + frame] ?? 0) & FRAME_DIRTY) === 0) continue;
      write(frame * PAGE, picture.ram.subarray(frame * PAGE, (frame + 1) * PAGE));
      if (clean) cpu.mmu.clearFrame(frame, FRAME_DIRTY);
    }
    views.u8.set(picture.state, state.base);
    state.set('budget', 0);
    state.set('slack', 0);
    cpu.mmu.flushAll();
    cpu.mmu.breakpointsChanged();
    cpu.stateChanged();
  };
  const events = (): BigUint64Array[] => {
    const end = views.u32[(layout.ramBase + at.EVENT_POINTER) >> 2] as number;
    const found: BigUint64Array[] = [];
    for (let gpa = at.EVENTS; gpa < end; gpa += at.EVENT_BYTES)
      found.push(new BigUint64Array(ram.buffer, layout.ramBase + gpa, at.EVENT_BYTES / 8));
    return found;
  };

  const answer = (exit: Exit): string => {
    if (exited) return answerOf(events());
    return exit.kind === 'shutdown' ? SHUTDOWN : odd(exit);
  };

  return {
    run(built) {
      atEntry ??= pictureAtEntry();
      restore(atEntry, true);
      for (const { at: gpa, bytes } of built.runs) write(gpa, bytes);
      write(at.PROGRAMS, singleChain(built.fields));
      if (engine === 'jit') atStart = { state: atEntry.state, ram: ram.slice() };
      return answer(go(INSTRUCTIONS));
    },
    statistics: () => cpu.engine.stats?.() ?? {},
    again(stops) {
      if (!atStart) throw new Error('no program has run on the JIT');
      restore(atStart, false);
      return answer(go(INSTRUCTIONS, stops));
    },
    runImage(list) {
      atEntry = null;
      boot();
      const disk = diskImage(list);
      write(at.PROGRAMS, disk.subarray(512 + at.KERNEL_BYTES));
      const exit = go(list.length * PRINTED_INSTRUCTIONS);
      const text = output.map((byte) => String.fromCharCode(byte)).join('');
      return exited ? text : `${text}\n!${odd(exit)}`;
    },
  };
}

/** All that a program can change. */
interface Picture {
  readonly state: Uint8Array;
  readonly ram: Uint8Array;
}

const odd = (exit: Exit): string => `${exit.kind} ${'why' in exit ? exit.why : ''}`;

/** Where the boot sector jumps: real mode at 0:KERNEL. */
function enterKernel(cpu: Cpu): void {
  const { state } = cpu;
  state.set('cr0', 0x10);
  for (let n = 0; n < SEGMENTS; n++) {
    state.setSeg(n, 16, 0);
    state.setSegBase(n, 0);
  }
  state.setVa('rip', at.KERNEL);
  cpu.stateChanged();
}
