// The devices' way to guest RAM, which is built after them: for DMA.

import { bug } from '../base/errors.ts';
import type { GuestRam } from './memory.ts';

export class RamLink {
  private connected: GuestRam | null = null;

  connect(ram: GuestRam): void {
    this.connected = ram;
  }

  ram(): GuestRam {
    return this.connected ?? bug('a device reaches for RAM before the machine is built');
  }
}
