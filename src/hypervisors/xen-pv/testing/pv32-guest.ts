// Small 32-bit PAE guests for tests: a program of ours in an ELF32 file with Xen's notes or the older section, built and run.

import { Assembler } from '../../../cpu/asm.ts';
import { openKernel } from '../../../image/index.ts';
import { elfFile, PF_RWX } from '../../../image/testing/elf-file.ts';
import { bareGuest } from '../../testing/bare-guest.ts';
import { xenPv } from '../index.ts';
import { permuteFrames } from '../machine-frames.ts';
import {
  assembleProgram,
  BUDGET,
  CODE_AT,
  FOR_XEN_3,
  MEMORY,
  numberOf,
  type Outcome,
  PAGES,
  PAGES_AT,
  type ProgramOptions,
  RESULT_PAGE,
  SEED,
} from './pv-guest.ts';

export const VIRT_BASE_32 = 0xc000_0000;
const HYPERVISOR_sched_op = 29;
const NOTE_ENTRY = 1;
const NOTE_VIRT_BASE = 3;
const NOTE_PADDR_OFFSET = 4;
const NOTE_PAE = 9;
/** Where a program finds the address of start_info: the last word of the page behind those for results. */
const START_INFO_PAGE = RESULT_PAGE + 2;

export interface Program32Options extends Omit<ProgramOptions, 'notes'> {
  readonly virtBase?: number;
  /** Notes instead of the usual. */
  readonly notes?: readonly Note[];
  /** The text of a section __xen_guest, instead of notes. */
  readonly section?: string;
  readonly initrd?: Uint8Array;
  /** What becomes of the ELF file before it is opened. */
  readonly pack?: (elf: Uint8Array) => Uint8Array;
}
export type Note = readonly [type: number, value: number | string];

/** Text of a program. EBP is where the next result goes, and is kept. */
export interface Program32Parts {
  /** Address of one of the free pages. */
  page(n: number): number;
  /** Its machine frame. */
  mfn(n: number): number;
  /** Machine frame of any page, by pseudo-physical number. */
  mfnOf(pfn: number): number;
  /** A hypercall by INT 0x82, by its name in the headers, with its result kept. */
  call(name: string, ...args: readonly (number | bigint)[]): string;
  /** Stores a word, or words. */
  store(va: number, ...values: readonly number[]): string;
  /** Keeps a register as a result. */
  keep(register: string): string;
  /** Loads the word at an offset of start_info. */
  startInfo(register: string, offset: number): string;
  readonly done: string;
}

export function runProgram32(
  program: (parts: Program32Parts) => string,
  options: Program32Options = {},
): Outcome {
  const { engine = 'reference', commandLine = '', seed = SEED, virtBase = VIRT_BASE_32 } = options;
  const { initrd = null, pack = (elf: Uint8Array) => elf } = options;
  const ramBytes = MEMORY + xenPv.ownBytes!(MEMORY);
  const p2m = permuteFrames(ramBytes / 4096, MEMORY / 4096, seed).guest;
  const output: number[] = [];
  const { cpu, machine, attached } = bareGuest(xenPv, {
    memoryBytes: MEMORY,
    engine,
    seed,
    transmit: (byte) => output.push(byte),
  });
  const va = (page: number) => virtBase + PAGES_AT + page * 4096;
  const assembler = new Assembler(32, virtBase + CODE_AT);
  const head = `mov [${literal(va(START_INFO_PAGE))}], esi; mov ebp, ${literal(va(RESULT_PAGE))}`;
  const code = assembleProgram(`${head}; ${program(partsFor(p2m, va))}`, assembler);
  attached.start({
    kernel: openKernel(pack(elf32With(code, virtBase, options)), 'a test program'),
    initrd,
    commandLine,
  });
  const stop = machine.run({ instructions: options.budget ?? BUDGET });
  const at = (page: number) => cpu.layout.ramBase + p2m[PAGES_AT / 4096 + page]! * 4096;
  const count = (cpu.state.gpr32(5) - va(RESULT_PAGE)) / 4;
  const first = at(RESULT_PAGE) / 4;
  const results = Array.from(
    { length: Math.max(0, Math.min(count, 1024)) },
    (_, n) => cpu.views.i32[first + n]!,
  );
  return {
    results,
    stop: stop.kind,
    why: 'why' in stop ? stop.why : '',
    output: String.fromCharCode(...output),
    cpu,
    word: (page, n) => cpu.views.u64[(at(page) + n * 8) / 8]!,
  };
}

const literal = (value: number | bigint) => `0x${BigInt.asUintN(32, BigInt(value)).toString(16)}`;
const ARGUMENTS = ['ebx', 'ecx', 'edx', 'esi', 'edi'];

function partsFor(p2m: Uint32Array, va: (page: number) => number): Program32Parts {
  const keep = (register: string) => `mov [ebp], ${register}; add ebp, 4`;
  const store = (at: number, ...values: readonly number[]) =>
    values
      .map((value, n) => `mov dword ptr [${literal(at + n * 4)}], ${literal(value)}`)
      .join('; ');
  const reason = va(RESULT_PAGE + 1);
  return {
    page: va,
    mfn: (n) => p2m[PAGES_AT / 4096 + n]!,
    mfnOf: (pfn) => p2m[pfn]!,
    call: (name, ...args) =>
      [
        ...args.map((value, n) => `mov ${ARGUMENTS[n]}, ${literal(value)}`),
        `mov eax, ${numberOf(name)}`,
        'int 0x82',
        keep('eax'),
      ].join('; '),
    store,
    keep,
    startInfo: (register, offset) =>
      `mov ${register}, [${literal(va(START_INFO_PAGE))}]; mov ${register}, [${register} + ${offset}]`,
    done: `${store(reason, 0)}; mov ebx, 2; mov ecx, ${literal(reason)}; mov eax, ${HYPERVISOR_sched_op}; int 0x82`,
  };
}

export function usualNotes32(virtBase = VIRT_BASE_32): readonly Note[] {
  return [
    ...FOR_XEN_3,
    [NOTE_ENTRY, virtBase + CODE_AT],
    [NOTE_VIRT_BASE, virtBase],
    [NOTE_PADDR_OFFSET, 0],
    [NOTE_PAE, 'yes'],
  ];
}

/** An ELF file of one segment with the code, one with the free pages, and notes or a section. */
export function elf32With(
  code: Uint8Array,
  virtBase: number,
  { notes = usualNotes32(virtBase), section, data = new Uint8Array(0) }: Program32Options,
): Uint8Array {
  // Images with the section have virtual addresses for physical ones.
  const base = section === undefined ? 0 : virtBase;
  const place = (paddr: number) => ({ vaddr: virtBase + paddr, paddr: base + paddr });
  return elfFile({
    bits: 32,
    entry: virtBase + CODE_AT,
    flags: PF_RWX,
    loads: [
      { ...place(CODE_AT), bytes: code },
      { ...place(PAGES_AT), bytes: data, memBytes: PAGES * 4096 },
    ],
    ...(section === undefined
      ? { notes: notes.map(([type, value]) => ({ name: 'Xen', type, desc: description(value) })) }
      : { sections: [{ name: '__xen_guest', bytes: ascii(`${section}\0`) }] }),
  });
}

function description(value: number | string): Uint8Array {
  if (typeof value === 'string') return ascii(`${value}\0`);
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
