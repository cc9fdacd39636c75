// What a probe program is, and the few lines of assembly that many of them share.

import { kernel } from './kernel.ts';
import * as at from './layout.ts';
import type { Memory } from './memory.ts';
import type { Mode } from './template.ts';

/** One small program: it starts in ring 0 of its mode and ends with its last event: an exception, or `int DONE`. */
export interface Program {
  /** `topic/what happens`. */
  readonly name: string;
  /** The rule that it asks about. */
  readonly ref: string;
  readonly mode: Mode;
  /** Bits on top of the mode's own. */
  readonly cr0?: number;
  readonly cr4?: number;
  readonly efer?: number;
  /** Changes to the tables. `label` gives the address of a label of the code. */
  readonly setup?: (m: Memory, label: (name: string) => number) => void;
  /** Assembly text, in the mode's code size, at CODE. */
  readonly code: string;
}

/** The kernel's own handlers, for gates of other kinds. */
export const stub32 = (vector: number): number => kernel().stubs32[vector] ?? 0;
export const stub64 = (vector: number): number => kernel().stubs64[vector] ?? 0;

/** A group of programs about one topic. */
export function programs(topic: string, list: readonly Program[]): readonly Program[] {
  return list.map((program) => ({ ...program, name: `${topic}/${program.name}` }));
}

/** Reports the registers and ends. */
export const DONE = `int ${at.DONE}`;

/** After the next event go on at `label`, in ring 0. */
export const resume = (label: string, mode: 32 | 64 = 32): string =>
  mode === 32
    ? `mov dword ptr [${at.RESUME}], ${label}`
    : `mov rax, ${label}\nmov qword ptr [${at.RESUME}], rax\nxor eax, eax`;

/** The first `n` events return from their handlers. */
export const returns = (n: number): string => `mov dword ptr [${at.RETURNS}], ${n}`;

/** Into ring 3 at `label`, with data segments that may be used there. */
export function user32(label: string, flags = 2): string {
  const data = `push ${at.UDATA32}; pop ds; push ${at.UDATA32}; pop es`;
  return `${data}\npush ${at.UDATA32}\npush ${at.STACK3}\npush ${flags}\npush ${at.UCODE32}\npush ${label}\niretd`;
}
export function user64(label: string, flags = 2): string {
  return `push ${at.UDATA32}\npush ${at.STACK3}\npush ${flags}\npush ${at.UCODE64}\npush ${label}\niretq`;
}
/** From 64-bit code into 32-bit code of ring 0 or 3. */
export function compat(label: string, ring: 0 | 3 = 0): string {
  const [code, data, stack] =
    ring === 0 ? [at.CODE32, at.DATA32, at.STACK0] : [at.UCODE32, at.UDATA32, at.STACK3];
  return `push ${data}\npush ${stack}\npush 2\npush ${code}\npush ${label}\niretq`;
}

/** The modes of programs that are alike in both. */
export const BOTH = ['prot', 'long'] as const;
export const ax = (mode: Mode): string => (mode === 'long' ? 'rax' : 'eax');
export const popf = (mode: Mode): string => (mode === 'long' ? 'popfq' : 'popfd');
export const pushf = (mode: Mode): string => (mode === 'long' ? 'pushfq' : 'pushfd');

/** The code, in ring 3. */
export function inRing3(mode: Mode, code: string, flags = 2): string {
  return `${mode === 'long' ? user64('u', flags) : user32('u', flags)}\nu:\n${code}`;
}

export function wrmsr(msr: number, low: number, high = 0): string {
  return `mov ecx, ${msr}; mov eax, ${low}; mov edx, ${high}; wrmsr`;
}

/** What may not be compared, or is in the way. */
export const CLEAR = 'xor eax, eax; xor ecx, ecx; xor edx, edx';
