// The memory map of a PV domain, in the form of the BIOS call that it stands for.

import { EFAULT, EINVAL } from '../xen/abi/errno.ts';
import * as abi from '../xen/abi/memory.ts';
import type { Call } from '../xen/define.ts';
import { notMine } from '../xen/domid.ts';
import { pvOf } from './pv-domain.ts';

const E820_RAM = 1;
const E820_ENTRY_BYTES = 20;
/** E820MAX of Xen 4.17. */
const E820_ENTRIES_MAX = 1024;

/** As many entries as there are and the guest has room for. */
export function memoryMap(call: Call, at: number): number {
  const { guest } = call;
  const arg = guest.read(abi.memoryMapArgument, at);
  if (!arg) return -EFAULT;
  const { memoryMap: map } = pvOf(call).state;
  const entries = Math.min(arg.nr_entries, map.length / E820_ENTRY_BYTES);
  const bytes = Uint8Array.from(map.slice(0, entries * E820_ENTRY_BYTES));
  if (!guest.put(arg.buffer, bytes)) return -EFAULT;
  return guest.write(abi.memoryMapArgument, at, { nr_entries: entries }) ? 0 : -EFAULT;
}

/** A domain may set its own. */
export function setMemoryMap(call: Call, at: number): number {
  const { domain, guest } = call;
  const arg = guest.read(abi.foreignMemoryMap, at);
  if (!arg) return -EFAULT;
  const { nr_entries, buffer } = arg.map;
  if (nr_entries > E820_ENTRIES_MAX) return -EINVAL;
  const error = notMine(domain, arg.domid);
  if (error) return error;
  const bytes = guest.bytes(buffer, nr_entries * E820_ENTRY_BYTES);
  if (!bytes) return -EFAULT;
  pvOf(call).state.memoryMap = [...bytes];
  return 0;
}

/** One piece of RAM, as xl gives a guest without devices. */
export function firstMemoryMap(pages: number): number[] {
  const map = new Uint8Array(E820_ENTRY_BYTES);
  const view = new DataView(map.buffer);
  const bytes = pages * 4096;
  view.setUint32(8, bytes >>> 0, true);
  view.setUint32(12, Math.floor(bytes / 4294967296), true);
  view.setUint32(16, E820_RAM, true);
  return [...map];
}
