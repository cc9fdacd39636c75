// Programs to bytes: each one's memory and header, and the disk image of a boot sector, the kernel and a chain of programs.

import { Assembler } from '../../src/cpu/asm.ts';
import { bootSector, HEADER_BYTES, KINDS, kernel } from './kernel.ts';
import * as at from './layout.ts';
import { little, type Run } from './memory.ts';
import type { Program } from './program.ts';
import { type Mode, modeTemplate, template } from './template.ts';

const CR0_PE = 1;
const CR0_NE_ET = 0x30;
const CR0_WP = 0x10000;
const CR0_PG = 0x80000000;
const CR4_PAE = 0x20;
const EFER_LME = 0x100;

interface ModeValues {
  readonly kind: number;
  readonly cr0: number;
  readonly cr3: number;
  readonly cr4: number;
  readonly efer: number;
  readonly code: 16 | 32 | 64;
}

const PROTECTED = CR0_PE | CR0_NE_ET;
const PAGED = (PROTECTED | CR0_WP | CR0_PG) >>> 0;

/** How each mode is entered. Mind that SDM 3A 10.8.5 asks for PAE before LME takes effect. */
const MODES: Readonly<Record<Mode, ModeValues>> = {
  real: { kind: KINDS.real, cr0: CR0_NE_ET, cr3: 0, cr4: 0, efer: 0, code: 16 },
  prot: { kind: KINDS.prot, cr0: PROTECTED, cr3: 0, cr4: 0, efer: 0, code: 32 },
  paged: { kind: KINDS.prot, cr0: PAGED, cr3: at.PD32, cr4: 0, efer: 0, code: 32 },
  pae: { kind: KINDS.prot, cr0: PAGED, cr3: at.PAE_PDPT, cr4: CR4_PAE, efer: 0, code: 32 },
  long: { kind: KINDS.long, cr0: PAGED, cr3: at.PML4, cr4: CR4_PAE, efer: EFER_LME, code: 64 },
};

/** A program as the kernel takes it, but for its place in the chain. */
export interface Built {
  readonly program: Program;
  readonly fields: readonly number[];
  readonly runs: readonly Run[];
}

export function build(program: Program): Built {
  const mode = MODES[program.mode];
  const a = new Assembler(mode.code, program.mode === 'real' ? 0 : at.CODE);
  emit(a, program.code);
  // What does not fault ends behind its code.
  emit(a, `int ${at.DONE}`);
  const memory = modeTemplate(program.mode);
  memory.write(at.CODE, a.finish());
  const label = (name: string): number => {
    const { address } = a.label(name);
    if (address === null) throw new Error(`${program.name}: no label ${name}`);
    return Number(address);
  };
  program.setup?.(memory, label);
  const { cr0 = 0, cr4 = 0, efer = 0 } = program;
  const fields = [
    mode.kind,
    (mode.cr0 ^ cr0) >>> 0,
    mode.cr3,
    mode.cr4 | cr4,
    mode.efer | efer,
    Number(a.origin),
  ];
  return { program, fields, runs: memory.runs() };
}

/** Assembly text, with two kinds of line of its own: `db 0xf0, 0x90` and `use 16`. */
function emit(a: Assembler, text: string): void {
  for (const line of text.split(/[\n;]/).map((part) => part.trim())) {
    const [word = '', ...rest] = line.split(/[\s,]+/);
    if (word === 'db') a.bytes(...rest.map(Number));
    else if (word === 'use') a.use(Number(rest[0]) as 16 | 32 | 64);
    else a.text(line);
  }
}

export function templateRuns(): Run[] {
  return template(kernel()).runs();
}

/** The whole disk: the programs with their numbers, all in one chain. */
export function diskImage(list: readonly { index: number; built: Built }[]): Uint8Array {
  const chain = programChain(list);
  const sectors = Math.ceil(chain.length / 512);
  const disk = new Uint8Array((1 + at.KERNEL_BYTES / 512 + Math.ceil(sectors / 64) * 64) * 512);
  disk.set(bootSector(sectors), 0);
  disk.set(kernel().bytes, 512);
  disk.set(chain, 512 + at.KERNEL_BYTES);
  return disk;
}

/** The template's patches with their length in front, then the programs, then a header of length 0. */
export function programChain(list: readonly { index: number; built: Built }[]): Uint8Array {
  const common = encodeRuns(templateRuns());
  const bytes = [...dwords(common.length), ...common];
  for (const { index, built } of list) {
    const patches = encodeRuns(built.runs);
    bytes.push(...header(HEADER_BYTES + patches.length, index, built.fields), ...patches);
  }
  bytes.push(...END_OF_CHAIN);
  return Uint8Array.from(bytes);
}

/** A chain of one program, without patches: memory is prepared by the host. */
export function singleChain(fields: readonly number[]): Uint8Array {
  return Uint8Array.from([...dwords(0), ...header(HEADER_BYTES, 0, fields), ...END_OF_CHAIN]);
}

const header = (bytes: number, index: number, fields: readonly number[]): number[] =>
  dwords(bytes, index, ...fields);
const END_OF_CHAIN = new Array<number>(HEADER_BYTES).fill(0);

const dwords = (...values: readonly number[]): number[] =>
  values.flatMap((v) => little(BigInt(v), 4));

function encodeRuns(runs: readonly Run[]): number[] {
  const bytes = runs.flatMap((run) => [...dwords(run.at, run.bytes.length), ...run.bytes]);
  bytes.push(...dwords(0xffffffff, 0));
  return bytes;
}

let common = 0;

/**
 * What decides what a program does, as 8 digits: recordings of another program are stale. The tables are part of it but
 * for the gates, whose targets move with every change of the kernel.
 */
export function digest({ fields, runs }: Built): string {
  const tables = () =>
    templateRuns().filter(({ at: gpa }) => (gpa >= at.GDT && gpa < at.IDT32) || gpa >= at.TSS);
  common ||= mix(0x811c9dc5, encodeRuns(tables()));
  return mix(mix(common, dwords(...fields)), encodeRuns(runs))
    .toString(16)
    .padStart(8, '0');
}

/** FNV-1a. */
function mix(hash: number, bytes: Iterable<number>): number {
  let mixed = hash;
  for (const byte of bytes) mixed = Math.imul(mixed ^ byte, 0x01000193) >>> 0;
  return mixed;
}
