// Encoding patterns that many integer instructions share, so that a table entry is one line for each.

import type { Form } from './define.ts';

const hex = (n: number) => n.toString(16).padStart(2, '0');

/** The eight rows of the classic ALU block at `base` (00 add, 08 or ... 38 cmp) and its group 1 encodings. */
export function aluForms(base: number, lock: boolean): Form[] {
  const digit = base >> 3;
  const locked = lock ? { lock } : {};
  return [
    { op: `${hex(base)} /r`, args: 'Eb,Gb', ...locked },
    { op: `${hex(base + 1)} /r`, args: 'Ev,Gv', ...locked },
    { op: `${hex(base + 2)} /r`, args: 'Gb,Eb' },
    { op: `${hex(base + 3)} /r`, args: 'Gv,Ev' },
    { op: hex(base + 4), args: 'AL,Ib' },
    { op: hex(base + 5), args: 'eAX,Iz' },
    { op: `80 /${digit}`, args: 'Eb,Ib', ...locked },
    { op: `81 /${digit}`, args: 'Ev,Iz', ...locked },
    { op: `82 /${digit}`, args: 'Eb,Ib', only: 'no64', ...locked },
    { op: `83 /${digit}`, args: 'Ev,Ib', ...locked },
  ];
}

/** One operand, byte and full size: `f6 /2` and `f7 /2` (not). */
export function unaryForms(byteOpcode: number, digit: number, lock: boolean): Form[] {
  const locked = lock ? { lock } : {};
  return [
    { op: `${hex(byteOpcode)} /${digit}`, args: 'Eb', ...locked },
    { op: `${hex(byteOpcode + 1)} /${digit}`, args: 'Ev', ...locked },
  ];
}

/** Shifts and rotates of group 2: by an immediate, by 1 and by CL. */
export function shiftForms(digit: number): Form[] {
  return [
    { op: `c0 /${digit}`, args: 'Eb,Ib' },
    { op: `c1 /${digit}`, args: 'Ev,Ib' },
    { op: `d0 /${digit}`, args: 'Eb,1' },
    { op: `d1 /${digit}`, args: 'Ev,1' },
    { op: `d2 /${digit}`, args: 'Eb,CL' },
    { op: `d3 /${digit}`, args: 'Ev,CL' },
  ];
}
