// Small lguest guests for tests: a program of ours in a 32-bit ELF file, launched, run, and asked for its results.

import { Assembler } from '../../../cpu/asm.ts';
import type { Cpu, EngineName } from '../../../cpu/core.ts';
import { openKernel } from '../../../image/index.ts';
import { elfFile, PF_RWX } from '../../../image/testing/elf-file.ts';
import type { Disk } from '../../../machine/disk.ts';
import type { Machine } from '../../../machine/machine.ts';
import type { GuestRam } from '../../../machine/memory.ts';
import type { NetWire } from '../../../machine/models/define.ts';
import type { SeenArguments } from '../../seen.ts';
import { bareGuest } from '../../testing/bare-guest.ts';
import { tinyBzImage } from '../../testing/tiny-bzimage.ts';
import { LHCALL, lguestData } from '../abi.ts';
import { PAGE_OFFSET } from '../first-tables.ts';
import { lguest } from '../index.ts';

export const MEMORY = 16 << 20;
export const CODE_AT = 0x10_0000;
/** Where programs have `lguest_data`, their results and pages to do with as they like. */
export const DATA_AT = 0x20_0000;
export const RESULTS_AT = 0x20_1000;
const PAGE = 4096;
const PAGES_AT = 0x21_0000;
const STACK_TOP = 0x20_8000;
const RESULTS_MAX = 512;
const BUDGET = 300_000;

export type LhcallName = keyof typeof LHCALL;

export interface GuestOptions {
  readonly engine?: EngineName;
  readonly version?: string;
  readonly pae?: boolean;
  readonly budget?: number;
  readonly seed?: number;
  /** The program as the protected-mode part of a bzImage, entered by its own code. */
  readonly bzImage?: boolean;
  readonly commandLine?: string;
  readonly initrd?: Uint8Array;
  readonly memoryBytes?: number;
  readonly disks?: readonly Disk[];
  readonly nets?: readonly NetWire[];
  readonly typed?: string;
  /** Nobody hears of its calls: a list of them would grow with a long run. */
  readonly unseen?: boolean;
  /** Fields of `lguest_data` beside the usual. */
  readonly data?: Readonly<Record<string, number>>;
  /** What else lies in memory before the guest starts. */
  readonly prepare?: (ram: GuestRam) => void;
  /** Bytes at addresses before the guest starts. */
  readonly poke?: readonly (readonly [at: number, bytes: readonly number[]])[];
}

export interface GuestOutcome {
  /** Words that the program has kept, in order. */
  readonly results: number[];
  readonly stop: string;
  readonly why: string;
  readonly output: string;
  readonly cpu: Cpu;
  readonly ram: GuestRam;
  readonly machine: Machine;
  /** Calls of the guest's, as the tracer hears of them. */
  readonly seen: readonly (readonly [name: string, args: SeenArguments])[];
}

/** Text of programs. EBP is where the next result goes; calls lose EAX, EBX, ECX, EDX and ESI. */
export const guest = {
  page: (n: number): number => PAGES_AT + n * 4096,
  field: (name: keyof typeof lguestData.fields & string): number =>
    DATA_AT + lguestData.offsetOf(name),
  call: (name: LhcallName | number, ...args: readonly (number | string)[]): string =>
    [
      ...args.map((value, n) => `mov ${['ebx', 'ecx', 'edx', 'esi'][n]}, ${value}`),
      `mov eax, ${typeof name === 'number' ? name : LHCALL[name]}`,
      'vmcall',
    ].join('; '),
  init: `mov eax, ${LHCALL.LGUEST_INIT}; mov ebx, ${DATA_AT}; vmcall; mov esp, ${PAGE_OFFSET + STACK_TOP}`,
  store: (at: number, value: number | string): string => `mov dword ptr [${at}], ${value}`,
  keep: (what: string): string => `mov dword ptr [ebp], ${what}; add ebp, 4`,
  keepAt: (at: number): string => `mov eax, [${at}]; mov [ebp], eax; add ebp, 4`,
  /** A gate to a label, by LOAD_IDT_ENTRY; type 0xe an interrupt gate, 0xf a trap gate. */
  gate: (vector: number, label: string, type = 0xe, dpl = 0): string =>
    [
      `lea ecx, [${label}]`,
      'mov edx, ecx',
      'and ecx, 0xffff',
      'or ecx, 0x600000',
      'and edx, 0xffff0000',
      `or edx, ${0x8000 | (dpl << 13) | (type << 8)}`,
      `mov ebx, ${vector}`,
      `mov eax, ${LHCALL.LOAD_IDT_ENTRY}`,
      'vmcall',
    ].join('; '),
  /** Prints by NOTIFY a text that lies at a label. */
  print: (label: string): string => `lea ebx, [${label}]; mov eax, ${LHCALL.NOTIFY}; vmcall`,
  off: `lea ebx, [power_down]; mov ecx, 1; mov eax, ${LHCALL.SHUTDOWN}; vmcall`,
};

/** Where the launcher puts the first tables when there is no initrd: addresses of entries. */
export function firstTables(pae: boolean) {
  const top = MEMORY - PAGE;
  const perTable = pae ? 512 : 1024;
  const bytes = PAGE / perTable;
  const leaves = top - (MEMORY / (perTable * PAGE)) * PAGE;
  const directory = pae ? leaves - PAGE : top;
  return {
    top,
    pteAt: (gpa: number) => leaves + (gpa / PAGE) * bytes,
    /** With PAE one directory serves both the first GiB and the last. */
    directoryAt: (va: number) =>
      directory + (Math.floor(va / (perTable * PAGE)) % perTable) * bytes,
  };
}

/** The guest, at the beginning of its program. */
export function launchLguest(program: string, options: GuestOptions = {}) {
  const output: number[] = [];
  const seen: [string, SeenArguments][] = [];
  const { memoryBytes = MEMORY, commandLine = '', initrd = null } = options;
  const { cpu, ram, machine, attached } = bareGuest(lguest, {
    memoryBytes,
    engine: options.engine ?? 'reference',
    seed: options.seed ?? 7,
    disks: options.disks ?? [],
    nets: options.nets ?? [],
    transmit: (byte) => output.push(byte),
    ...(!options.unseen && {
      seen: (name: string, args: SeenArguments) => seen.push([name, args]),
    }),
    ...(options.version && { version: options.version }),
  });
  const code = assemble(program);
  const file = options.bzImage
    ? tinyBzImage({ system: [...code], xloadflags: 0 })
    : elf32(code, options);
  const kernel = openKernel(file, 'a test program');
  attached.start({ kernel, initrd, commandLine, boot: options.bzImage ? 'linux32' : 'direct' });
  ram.write(DATA_AT, dataArea(options));
  for (const [at, bytes] of options.poke ?? []) ram.write(at, Uint8Array.from(bytes));
  options.prepare?.(ram);
  return { cpu, ram, machine, output, seen };
}

export function runLguest(program: string, options: GuestOptions = {}): GuestOutcome {
  const { cpu, ram, machine, output, seen } = launchLguest(program, options);
  let stop = machine.run({ instructions: options.budget ?? BUDGET });
  if (options.typed && stop.kind === 'idle') {
    machine.consoleInput(Uint8Array.from(options.typed, (c) => c.charCodeAt(0)));
    stop = machine.run({ instructions: options.budget ?? BUDGET });
  }
  const at = Math.min(
    Math.max(0, ((cpu.state.gpr32(5) % PAGE_OFFSET) - RESULTS_AT) >>> 2),
    RESULTS_MAX,
  );
  return {
    results: Array.from({ length: at }, (_, n) => ram.u32(RESULTS_AT + 4 * n)),
    stop: stop.kind,
    why: 'why' in stop ? stop.why : '',
    output: String.fromCharCode(...output),
    cpu,
    ram,
    machine,
    seen,
  };
}

function assemble(program: string): Uint8Array {
  const a = new Assembler(32, CODE_AT);
  a.text(`mov ebp, ${RESULTS_AT}`);
  for (const part of program.split(/[\n;]/).map((line) => line.trim())) {
    const [, label, rest] = /^(\w+): *(.*)$/.exec(part) ?? [];
    if (label) a.text(`${label}:`);
    emit(a, rest ?? part);
  }
  return a
    .text('power_down:')
    .bytes(...ascii('Power down'), 0)
    .finish();
}

/** `bytes 0f 0b` stands for just these, and a text in quotes for itself with a NUL. */
function emit(a: Assembler, line: string): void {
  if (line.startsWith('"')) a.bytes(...ascii(line.slice(1, -1)), 0);
  else if (line.startsWith('bytes '))
    for (const byte of line.slice(6).split(' ')) a.bytes(Number.parseInt(byte, 16));
  else a.text(line);
}

const ascii = (text: string) => Array.from(text.replaceAll('\\n', '\n'), (c) => c.charCodeAt(0));

/** `lguest_data` as a kernel has it before LGUEST_INIT (arch/x86/lguest/boot.c, 2.6.32). */
function dataArea({ data = {} }: GuestOptions): Uint8Array {
  const bytes = new Uint8Array(lguestData.size);
  lguestData.write(new DataView(bytes.buffer), 0, {
    blocked_interrupts: 1,
    hcall_status: new Uint8Array(64).fill(0xff),
    kernel_address: PAGE_OFFSET,
    syscall_vec: 0x80,
    ...data,
  });
  return bytes;
}

/** Two segments, and, for a PAE kernel, the text by which one is told. */
export function elf32(code: Uint8Array, options: GuestOptions): Uint8Array {
  return elfFile({
    bits: 32,
    entry: CODE_AT,
    flags: PF_RWX,
    loads: [
      { paddr: CODE_AT, bytes: code },
      { paddr: DATA_AT, bytes: dataArea(options) },
    ],
    sections: options.pae ? [{ name: '.rodata', bytes: Uint8Array.from(ascii('*pdpt = ')) }] : [],
  });
}
