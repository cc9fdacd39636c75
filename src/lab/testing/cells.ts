// Cells as a matrix would have them, for tests of what is made of them.

import type { Cell } from '../matrix/cell.ts';
import { COUNTED_GROUPS } from '../trace/tracer.ts';

export function cell(changes: Partial<Cell> = {}): Cell {
  return {
    kernel: 'debian:12',
    kernelVersion: '6.1.0',
    sha256: 'a'.repeat(64),
    interface: 'native',
    shape: '',
    verdict: 'up',
    reason: 'the console printed INIT-UP',
    timedOut: false,
    instructions: 1000,
    guestSeconds: 1.5,
    hostSeconds: 2.25,
    memoryBytes: 512 << 20,
    touchedBytes: 64 << 20,
    exits: { io: 3, mmio: 0, cpuid: 2, msr: 1, hypercall: 0, interrupt: 9, halt: 1 },
    stateHash: 'b'.repeat(64),
    consoleDigest: 'c'.repeat(64),
    console: ['Linux version 6.1.0', 'INIT-UP uptime=1.5'],
    vcpu: null,
    operations: [
      { operations: ['cpu.cpuid'], entryPoint: 'CPUID', count: 2 },
      { operations: [], entryPoint: 'OUT', count: 3 },
    ],
    samples: [
      {
        guestSeconds: 1.5,
        exits: [3, 0, 2, 1, 0, 9, 1],
        operations: COUNTED_GROUPS.map((group) =>
          group === 'cpu' ? 2 : group === 'other' ? 3 : 0,
        ),
      },
    ],
    ...changes,
  };
}

/** One of each verdict, with what could upset a writer of XML or TAP. */
export const MIXED: readonly Cell[] = [
  cell(),
  cell({ interface: 'kvm@6.1', verdict: 'blind', reason: 'it came up without noticing kvm # 1' }),
  cell({
    kernel: './a "b" <c> & #d',
    verdict: 'panic',
    reason: 'the kernel panicked: "VFS" & <root>',
    console: ['ok 7 is not a result', 'Bail out!', ']]> \u0001\ud800 \u00e9', 'Kernel panic'],
    vcpu: 'RAX=0\nRIP=1',
  }),
  cell({ kernel: './a "b" <c> & #d', interface: 'kvm@6.1', verdict: 'hung', timedOut: true }),
  cell({ kernel: 'third', verdict: 'error', reason: 'the worker died', stateHash: null }),
  cell({ kernel: 'third', interface: 'kvm@6.1', verdict: 'absent', reason: 'it lacks CONFIG_X' }),
];
