// What a Xen program is, and the pieces of assembly that programs are made of: calls, places, attempts.

import * as at from './layout.ts';

/** One small program for one rule of Xen's. It runs as the kernel of a 64-bit guest, PV or PVH, and keeps its results. */
export interface XenProgram<P extends CommonParts = Parts> {
  /** `topic/what happens`. */
  readonly name: string;
  /** The rule that it asks about. */
  readonly ref: string;
  readonly code: (p: P) => string;
}

/** A value that only the running guest knows: code that leaves it in RAX and may change RCX, RDX and RDI. */
export interface Place {
  readonly rax: string;
  /** Its lowest three bits, where they are known. */
  readonly low?: number;
}
export type Value = number | bigint | Place;

/** What any program is written with. R15 is where its next result goes and is kept; all else is free. */
export interface CommonParts {
  /** Address of one of the program's own eight pages, all zeros and mapped writable at the start. */
  page(n: number): number;
  /** Its frame, as Xen counts them for such a guest: a PV guest's are the machine's. */
  mfn(n: number): Place;
  /** A hypercall by number, with its result kept. */
  call(number: number, ...args: readonly Value[]): string;
  store(va: number, value: Value): string;
  keep(register: string): string;
  /** Keeps a 64-bit word, less the bits of `without`. */
  keepWord(va: number, without?: bigint): string;
  /** Runs code that may fault, and keeps the vector (0x100: none) and the error code. */
  attempt(code: string): string;
  /** A name for a label that no other program has. */
  label(name: string): string;
}

/** What a PV program has beside it. */
export interface Parts extends CommonParts {
  /** Machine address of a page of its own, or an entry for it. */
  machine(n: number, plus?: number | bigint): Place;
  /** Machine address of the L1 entry that maps a page of the program's own. */
  pte(n: number): Place;
  /** Machine frame of the table of this level (4: the root) through which the program's page 0 is mapped. */
  table(level: 1 | 2 | 3 | 4): Place;
}

const ARGUMENTS = ['rdi', 'rsi', 'rdx', 'r10', 'r8', 'r9'];
export const hex = (value: number | bigint): string =>
  `0x${BigInt.asUintN(64, BigInt(value)).toString(16)}`;
const inRax = (value: Value): string =>
  typeof value === 'object' ? value.rax : `mov rax, ${hex(value)}`;

/** A group of programs about one topic. */
export function programs<P extends CommonParts = Parts>(
  topic: string,
  list: readonly XenProgram<P>[],
): readonly XenProgram<P>[] {
  return list.map((program) => ({ ...program, name: `${topic}/${program.name}` }));
}

/** The parts of the program of this index. */
export function partsOf(index: number): Parts {
  const mfn = (n: number): Place => ({ rax: `mov rdi, ${hex(pageOf(index, n))}; call mfn_of` });
  const plus = (place: Place, value: number | bigint): Place =>
    BigInt(value) === 0n ? place : { rax: `${place.rax}; mov rcx, ${hex(value)}; add rax, rcx` };
  return {
    ...commonParts(index, 'syscall', mfn),
    machine: (n, value = 0) => ({
      ...plus({ rax: `${mfn(n).rax}; shl rax, 12` }, value),
      low: Number(BigInt(value) & 7n),
    }),
    pte: (n) => ({
      rax: `mov rdi, ${hex(pageOf(index, n))}; mov edx, 1; call entry_of`,
      low: 0,
    }),
    table: (level) => ({
      rax: `mov rdi, ${hex(pageOf(index, 0))}; mov edx, ${level}; call entry_of; shr rax, 12`,
    }),
  };
}

const pageOf = (index: number, n: number) => at.PAGES + (index * at.PAGES_EACH + n) * 4096;

/** `hypercall`: the code that makes a call when the registers are loaded. */
export function commonParts(
  index: number,
  hypercall: string,
  mfn: CommonParts['mfn'],
): CommonParts {
  let labels = 0;
  const keep = (register: string) => `mov [r15], ${register}; add r15, 8`;
  const label = (name: string) => `p${index}_${name}`;
  return {
    page: (n) => pageOf(index, n),
    mfn,
    call: (number, ...args) =>
      `${loads(args, ARGUMENTS)}; mov eax, ${number}; ${hypercall}; ${keep('rax')}`,
    store: (va, value) => `${inRax(value)}; mov rbx, ${hex(va)}; mov [rbx], rax`,
    keep,
    keepWord: (va, without = 0n) =>
      `mov rbx, ${hex(va)}; mov rax, [rbx]; mov rcx, ${hex(~without)}; and rax, rcx; ${keep('rax')}`,
    attempt: (code) => {
      const end = label(`caught${labels++}`);
      const set = `lea rax, [${end}]; mov rbx, ${hex(at.CATCH)}; mov [rbx], rax; mov [rbx + 8], rsp; mov qword ptr [rbx + 16], 0x100; mov qword ptr [rbx + 24], 0`;
      const end1 = `mov rbx, ${hex(at.CATCH)}; mov qword ptr [rbx], 0; mov rax, [rbx + 16]; ${keep('rax')}; mov rax, [rbx + 24]; ${keep('rax')}`;
      return `${set}\n${code}\n${end}:\n${end1}`;
    },
    label,
  };
}

/** Code that leaves values in registers. */
export function loads(args: readonly Value[], registers: readonly string[]): string {
  return [
    ...args.map((value) => `${inRax(value)}; push rax`),
    ...args.map((_, n) => `pop ${registers[args.length - 1 - n]}`),
  ].join('; ');
}
