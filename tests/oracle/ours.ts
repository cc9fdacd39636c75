// Our machine on the probe image: one CPU with a serial line, put back to its start for each program.

import type { Border } from '../../src/cpu/border.ts';
import { type Cpu, createCpu, type EngineName } from '../../src/cpu/core.ts';
import { cpuidLeaf, DEFAULT_MODEL } from '../../src/cpu/cpuid.ts';
import { reset } from '../../src/cpu/reset.ts';
import { parseAnswers, SHUTDOWN } from './answers.ts';
import { type Built, diskImage, programChain, templateRuns } from './image.ts';
import { kernel } from './kernel.ts';
import * as at from './layout.ts';

const COM1 = 0x3f8;
const LINE_CONTROL = COM1 + 3;
const DIVISOR_LATCH = 0x80;
const LINE_STATUS = COM1 + 5;
/** Transmitter empty. PC16550D datasheet 8.4. */
const TRANSMITTER_EMPTY = 0x60;
/** Of one program with its report: most take a few thousand. */
const INSTRUCTIONS = 200_000;
const SEGMENTS = 6;

export interface OurMachine {
  /** The answer of one program, on memory prepared by the host. */
  run(built: Built): string;
  /** Everything in one go, the image's kernel restoring memory between programs, as the peers run it. */
  runImage(list: readonly { index: number; built: Built }[]): string;
}

export function ourMachine(engine: EngineName): OurMachine {
  const output: number[] = [];
  let exited = false;
  let lineControl = 0;
  const border: Border = {
    ioRead: (port) => (port === LINE_STATUS ? TRANSMITTER_EMPTY : 0xff),
    ioWrite(port, _bytes, value) {
      if (port === LINE_CONTROL) lineControl = value;
      if (port === COM1 && (lineControl & DIVISOR_LATCH) === 0) output.push(value);
      if (port !== at.EXIT_PORT) return;
      exited = true;
      cpu.requestExit();
    },
    mmioRead: (_gpa, _bytes, out) => out.fill(0xffffffff),
    mmioWrite: () => {},
    cpuid: (leaf, subleaf, out) => cpuidLeaf(DEFAULT_MODEL, leaf, subleaf, out),
    rdmsr: () => false,
    wrmsr: () => false,
    hypercall: () => false,
    acknowledgeInterrupt: () => -1,
  };
  const cpu = createCpu({ ramBytes: at.RAM_BYTES, border, engine });
  const common = templateRuns();
  const write = (gpa: number, bytes: Uint8Array) =>
    cpu.views.u8.set(bytes, cpu.layout.ramBase + gpa);

  const start = () => {
    output.length = 0;
    exited = false;
    const { ramBase } = cpu.layout;
    cpu.views.u8.fill(0, ramBase, ramBase + at.RAM_BYTES);
    write(at.KERNEL, kernel().bytes);
    reset(cpu.state);
    cpu.mmu.flushAll();
    enterKernel(cpu);
  };
  const finish = (instructions: number): string => {
    for (let gpa = 0; gpa < at.RAM_BYTES; gpa += 4096) cpu.ramWritten(gpa, 4096);
    const exit = cpu.run(instructions);
    const text = output.map((byte) => String.fromCharCode(byte)).join('');
    if (exited) return text;
    return exit.kind === 'shutdown'
      ? `${text}\n`
      : `${text}\n!${exit.kind} ${'why' in exit ? exit.why : ''}`;
  };

  return {
    run(built) {
      start();
      for (const { at: gpa, bytes } of [...common, ...built.runs]) write(gpa, bytes);
      write(at.PROGRAMS, programChain([{ index: 0, built: { ...built, runs: [] } }]));
      write(at.SINGLE, Uint8Array.of(1));
      const text = finish(INSTRUCTIONS);
      const odd = /^!(.*)/m.exec(text);
      if (odd) return `${odd[1]}`;
      return parseAnswers(text).lines.get(0) ?? SHUTDOWN;
    },
    runImage(list) {
      start();
      const disk = diskImage(list);
      write(at.PROGRAMS, disk.subarray(512 + at.KERNEL_BYTES));
      return finish(list.length * INSTRUCTIONS);
    },
  };
}

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
