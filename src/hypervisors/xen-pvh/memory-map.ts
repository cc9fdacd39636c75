// The memory map that a PVH guest is given: its RAM, and behind it the reserved frames of its rings.

import type { MemoryMapEntry } from '../../machine/memory.ts';
import type { Platform } from '../define.ts';
import { ownBytes } from './physmap.ts';

export function guestMemoryMap({ memoryMap, memoryBytes }: Platform): readonly MemoryMapEntry[] {
  return [...memoryMap, { start: memoryBytes, size: ownBytes(), type: 2 }];
}
