// Start of day on hardware paging: PVH where the kernel has the note, Linux's boot protocol otherwise.

import { pvhEntry } from '../../image/index.ts';
import type { Guest, Platform } from '../define.ts';
import { startByPvh } from './pvh.ts';
import { startByZeroPage } from './zero-page.ts';

export function startOfDay(platform: Platform, guest: Guest): void {
  const entry = pvhEntry(guest.kernel.elf());
  if (entry === null) startByZeroPage(platform, guest);
  else startByPvh(platform, guest, entry);
}
