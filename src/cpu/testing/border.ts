// The world as CPU tests see it: every request is written down and answered from its own numbers.

import type { Border } from '../border.ts';

export interface RecordingBorder extends Border {
  /** What was asked, in order. */
  readonly log: string[];
}

export function recordingBorder(): RecordingBorder {
  const log: string[] = [];
  const note = (name: string, ...args: (number | string)[]) => {
    log.push(`${name} ${args.map((a) => (typeof a === 'number' ? hex(a) : a)).join(' ')}`);
  };
  return {
    log,
    ioRead(port, bytes) {
      note('in', port, bytes);
      return answer(port, bytes);
    },
    ioWrite(port, bytes, value) {
      note('out', port, bytes, value);
    },
    mmioRead(gpa, bytes, out) {
      note('mmio read', gpa, bytes);
      out[0] = answer(gpa, bytes);
      out[1] = bytes === 8 ? answer(gpa + 4, 4) : 0;
    },
    mmioWrite(gpa, bytes, lo, hi) {
      note('mmio write', gpa, bytes, lo, hi);
    },
    cpuid(leaf, subleaf, out) {
      note('cpuid', leaf, subleaf);
      out.set([leaf + 1, subleaf + 2, 3, 4]);
    },
    rdmsr(index, out) {
      note('rdmsr', index);
      out.set([index ^ 0x5555, 0x77]);
      return (index & 1) === 0;
    },
    wrmsr(index, lo, hi) {
      note('wrmsr', index, lo, hi);
      return (index & 1) === 0;
    },
    hypercall(instruction) {
      note('hypercall', instruction);
      return false;
    },
    acknowledgeInterrupt() {
      note('acknowledge');
      return 0x30;
    },
  };
}

const hex = (n: number): string => (n >>> 0).toString(16);

function answer(at: number, bytes: number): number {
  const mixed = Math.imul(at ^ 0x9e3779b9, 0x85ebca6b) >>> 0;
  return bytes === 4 || bytes === 8 ? mixed : mixed & ((1 << (8 * bytes)) - 1);
}
