// The console ring: a page that a guest's hvc0 and the host share, and the host's end of it.

import type { ConsoleEnd } from '../../machine/console-ends.ts';
import { xenconsInterface } from './abi/io.ts';
import type { XenDomain } from './domain.ts';
import { openHostPort, raise } from './events.ts';

const ring = xenconsInterface.wide; // The same in both word sizes.
const IN_AT = ring.offsetOf('in');
const OUT_AT = ring.offsetOf('out');
const IN_BYTES = OUT_AT - IN_AT;
const OUT_BYTES = ring.offsetOf('in_cons') - OUT_AT;

export interface ConsoleRing {
  /** The guest's port. */
  readonly port: number;
  /** Where what is typed goes. */
  readonly end: ConsoleEnd;
}

/** `address`: the ring's page in RAM, once it is known (-1 before). Counters run freely, indexes are modulo the size. */
export function consoleRing(domain: XenDomain, address: () => number): ConsoleRing {
  const { ram, console } = domain.platform;
  const counter = (name: 'in_cons' | 'in_prod' | 'out_cons' | 'out_prod') =>
    address() + ring.offsetOf(name);
  const read = (name: Parameters<typeof counter>[0]) => ram.u32(counter(name)) >>> 0;
  const drain = () => {
    if (address() < 0) return;
    const produced = read('out_prod');
    let consumed = read('out_cons');
    // A guest that has produced more than there is room for has overwritten it: the newest bytes are what is left.
    if ((produced - consumed) >>> 0 > OUT_BYTES) consumed = (produced - OUT_BYTES) >>> 0;
    if (consumed === produced) return;
    for (; consumed !== produced; consumed = (consumed + 1) >>> 0)
      console.transmit(ram.u8(address() + OUT_AT + (consumed % OUT_BYTES)));
    ram.setU32(counter('out_cons'), produced);
    raise(domain, port);
  };
  domain.ends.set('console', drain);
  const port = openHostPort(domain, 'console');
  const free = () => {
    if (address() < 0) return 0;
    const used = (read('in_prod') - read('in_cons')) >>> 0;
    return used > IN_BYTES ? 0 : IN_BYTES - used;
  };
  return {
    port,
    end: {
      room: free,
      receive(bytes) {
        const count = Math.min(bytes.length, free());
        if (count === 0) return;
        const from = read('in_prod');
        for (let n = 0; n < count; n++)
          ram.setU8(address() + IN_AT + (((from + n) >>> 0) % IN_BYTES), bytes[n]!);
        ram.setU32(counter('in_prod'), (from + count) >>> 0);
        raise(domain, port);
      },
    },
  };
}
