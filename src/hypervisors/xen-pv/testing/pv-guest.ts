// Small PV guests for tests: a program of ours in an ELF file with Xen's notes, built, run, and asked for its results.

import { Assembler } from '../../../cpu/asm.ts';
import type { Cpu, EngineName } from '../../../cpu/core.ts';
import { openKernel } from '../../../image/index.ts';
import { elfFile, PF_RWX } from '../../../image/testing/elf-file.ts';
import { bareGuest } from '../../testing/bare-guest.ts';
import { PV_CALLS } from '../calls.ts';
import { xenPv } from '../index.ts';
import { permuteFrames } from '../machine-frames.ts';

export const VIRT_BASE = -0x8000_0000; // 0xffffffff80000000
export const MEMORY = 8 << 20;
export const CODE_AT = 0x10_0000;
/** Pages that programs may do with as they like, and behind them those for results. */
export const PAGES_AT = 0x20_0000;
export const PAGES = 64;
export const RESULT_PAGE = 60;
export const BUDGET = 200_000;
export const SEED = 7;
const NOTE_ENTRY = 1;
const NOTE_VIRT_BASE = 3;
const NOTE_PADDR_OFFSET = 4;
const HYPERVISOR_sched_op = 29;

export type WideNote = readonly [type: number, value: bigint | string];

export interface ProgramOptions {
  readonly engine?: EngineName;
  readonly commandLine?: string;
  readonly seed?: number;
  /** What lies in the free pages at the start. */
  readonly data?: Uint8Array;
  /** Instructions to run at most. */
  readonly budget?: number;
  /** Words of the notes, instead of the usual. */
  readonly notes?: readonly WideNote[];
}

/** Text of a program; R15 is where the next result goes, R14 is start_info, and both are kept. */
export interface ProgramParts {
  /** Address of one of the free pages. */
  page(n: number): number;
  /** Its machine frame. */
  mfn(n: number): number;
  /** A hypercall, by its name in the headers, with its result kept. */
  call(name: string, ...args: readonly (number | bigint)[]): string;
  /** Stores a 64-bit value. */
  store(va: number, value: number | bigint): string;
  /** Keeps a register as a result. */
  keep(register: string): string;
  /** An entry of the initial page tables: what maps this free page, as a machine address for mmu_update. */
  readonly done: string;
}

export interface Outcome {
  /** Results as signed numbers, in the order of the calls. */
  readonly results: number[];
  /** Why the machine stopped: `off` after `done`, else what it says. */
  readonly stop: string;
  readonly why: string;
  readonly output: string;
  readonly cpu: Cpu;
  /** 64-bit words of a free page, after the run. */
  word(page: number, n: number): bigint;
}

export function runProgram(
  program: (parts: ProgramParts) => string,
  options: ProgramOptions = {},
): Outcome {
  const output: number[] = [];
  const { cpu, machine, p2m } = programGuest(program, options, (byte) => output.push(byte));
  const stop = machine.run({ instructions: options.budget ?? BUDGET });
  const word = (page: number, n: number) =>
    cpu.views.u64[(cpu.layout.ramBase + p2m[PAGES_AT / 4096 + page]! * 4096 + n * 8) / 8]!;
  const count = Number((cpu.state.gpr(15) - BigInt.asUintN(64, BigInt(va(RESULT_PAGE)))) / 8n);
  const results = Array.from({ length: Math.max(0, Math.min(count, 512)) }, (_, n) =>
    Number(BigInt.asIntN(64, word(RESULT_PAGE, n))),
  );
  return {
    results,
    stop: stop.kind,
    why: 'why' in stop ? stop.why : '',
    output: String.fromCharCode(...output),
    cpu,
    word,
  };
}

/** The guest, at the beginning of its program. */
export function programGuest(
  program: (parts: ProgramParts) => string,
  options: ProgramOptions = {},
  transmit: (byte: number) => void = () => {},
) {
  const { engine = 'reference', commandLine = '', seed = SEED } = options;
  const ramBytes = MEMORY + xenPv.ownBytes!(MEMORY);
  const p2m = permuteFrames(ramBytes / 4096, MEMORY / 4096, seed).guest;
  const guest = bareGuest(xenPv, { memoryBytes: MEMORY, engine, seed, transmit });
  const assembler = new Assembler(64, BigInt.asUintN(64, BigInt(VIRT_BASE + CODE_AT)));
  const head = `mov r14, rsi; mov r15, ${literal(va(RESULT_PAGE))}`;
  const code = assembleProgram(`${head}; ${program(partsFor(p2m))}`, assembler);
  const kernel = openKernel(elfWith(code, options), 'a test program');
  guest.attached.start({ kernel, initrd: null, commandLine });
  return { ...guest, p2m };
}

const va = (page: number) => VIRT_BASE + PAGES_AT + page * 4096;
const literal = (value: number | bigint) => `0x${BigInt.asUintN(64, BigInt(value)).toString(16)}`;
const ARGUMENTS = ['rdi', 'rsi', 'rdx', 'r10', 'r8'];

/** `none` stands for a number that no call has. */
export function numberOf(name: string): number {
  if (name === 'none') return 999;
  for (const call of PV_CALLS.values()) if (call.name === name) return call.number;
  throw new Error(`there is no call ${name}`);
}

function partsFor(p2m: Uint32Array): ProgramParts {
  const keep = (register: string) => `mov [r15], ${register}; add r15, 8`;
  const call = (name: string, ...args: readonly (number | bigint)[]) =>
    [
      ...args.map((value, n) => `mov ${ARGUMENTS[n]}, ${literal(value)}`),
      `mov eax, ${numberOf(name)}`,
      'syscall',
      keep('rax'),
    ].join('; ');
  const store = (at: number, value: number | bigint) =>
    `mov rbx, ${literal(at)}; mov rax, ${literal(value)}; mov [rbx], rax`;
  const reason = va(RESULT_PAGE + 1);
  return {
    page: va,
    mfn: (n) => p2m[PAGES_AT / 4096 + n]!,
    call,
    store,
    keep,
    done: `${store(reason, 0)}; mov edi, 2; mov rsi, ${literal(reason)}; mov eax, ${HYPERVISOR_sched_op}; syscall`,
  };
}

/** `bytes 0f 0b` stands for just these. */
export function assembleProgram(text: string, a: Assembler): Uint8Array {
  for (const line of text.split(/[\n;]/).map((part) => part.trim())) {
    if (line.startsWith('bytes '))
      a.bytes(
        ...line
          .slice(6)
          .split(' ')
          .map((byte) => Number.parseInt(byte, 16)),
      );
    else a.text(line);
  }
  return a.finish();
}

/** That it is for this kind of loader, which all must say. */
export const FOR_XEN_3 = [
  [5, 'xen-3.0'], // XEN_ELFNOTE_XEN_VERSION
  [8, 'generic'], // XEN_ELFNOTE_LOADER
] as const;

export function usualNotes(): readonly WideNote[] {
  return [
    ...FOR_XEN_3,
    [NOTE_ENTRY, BigInt.asUintN(64, BigInt(VIRT_BASE + CODE_AT))],
    [NOTE_VIRT_BASE, BigInt.asUintN(64, BigInt(VIRT_BASE))],
    [NOTE_PADDR_OFFSET, 0n],
  ];
}

/** An ELF file of one segment with the code, one with the free pages, and one of notes. */
export function elfWith(
  code: Uint8Array,
  { notes = usualNotes(), data = new Uint8Array(0) }: ProgramOptions,
): Uint8Array {
  return elfFile({
    bits: 64,
    flags: PF_RWX,
    loads: [
      { paddr: CODE_AT, bytes: code },
      { paddr: PAGES_AT, bytes: data, memBytes: PAGES * 4096 },
    ],
    notes: notes.map(([type, value]) => ({
      name: 'Xen',
      type,
      desc:
        typeof value === 'string'
          ? Uint8Array.from(`${value}\0`, (char) => char.charCodeAt(0))
          : new Uint8Array(BigUint64Array.of(value).buffer),
    })),
  });
}
