// What firmware does for PCI before a kernel runs: gives BARs their places, enables them, and notes interrupt lines.

import type { PciBus } from './bus.ts';
import { pirqOf } from './bus.ts';
import { COMMAND, CONFIG } from './config-space.ts';

const BARS = 6;
const IO_FIRST = 0xc000;

export interface PciSpace {
  /** Where memory BARs begin. */
  readonly memory: number;
  /** The IRQ of each PIRQ wire. */
  readonly irqs: readonly number[];
}

export function assignResources(bus: PciBus, space: PciSpace): void {
  const next = { io: IO_FIRST, memory: space.memory };
  for (const { slot, function: fn } of bus.present()) {
    const address = (slot << 11) | (fn << 8);
    const read = (at: number, bytes: number) => bus.read(address | (at & 0xfc), at & 3, bytes);
    const write = (at: number, value: number, bytes: number) =>
      bus.write(address | (at & 0xfc), at & 3, value, bytes);
    let enable = 0;
    for (let n = 0; n < BARS; n++) {
      const at = CONFIG.bar + n * 4;
      const kind = read(at, 4);
      write(at, 0xffffffff, 4);
      const sized = read(at, 4);
      if (sized === 0) continue;
      const io = (kind & 1) !== 0;
      const size = (~(sized & (io ? 0xfffffffc : 0xfffffff0)) + 1) >>> 0;
      const space = io ? 'io' : 'memory';
      const place = Math.ceil(next[space] / size) * size;
      next[space] = place + size;
      write(at, place, 4);
      enable |= io ? COMMAND.io : COMMAND.memory;
      if (!io && (kind & 4) !== 0) write(CONFIG.bar + ++n * 4, 0, 4); // The upper half of a 64-bit BAR.
    }
    write(CONFIG.command, read(CONFIG.command, 2) | enable, 2);
    const pin = read(CONFIG.interruptPin, 1);
    if (pin !== 0) write(CONFIG.interruptLine, space.irqs[pirqOf(slot, pin)]!, 1);
  }
}
