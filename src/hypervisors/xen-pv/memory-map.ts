// The memory map of a PV domain.

import type { Call } from '../xen/define.ts';
import { e820, givenMemoryMap, readMemoryMap } from '../xen/memory-operations.ts';
import { pvOf } from './pv-domain.ts';

const E820_RAM = 1;

export const memoryMap = (call: Call, at: number): number =>
  readMemoryMap(call, at, pvOf(call).state.memoryMap);

export function setMemoryMap(call: Call, at: number): number {
  const map = givenMemoryMap(call, at);
  if (typeof map === 'number') return map;
  pvOf(call).state.memoryMap = map;
  return 0;
}

/** One piece of RAM, as xl gives a guest without devices. */
export const firstMemoryMap = (pages: number): number[] =>
  e820([{ start: 0, size: pages * 4096, type: E820_RAM }]);
