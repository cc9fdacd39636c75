// The console ring: a page that a guest's hvc0 and the host share, and the host's end of it.

import { xenconsInterface } from './abi/io.ts';
import type { XenDomain } from './domain.ts';
import { openHostPort, raise } from './events.ts';

const ring = xenconsInterface.wide; // The same in both word sizes.
const IN_AT = ring.offsetOf('in');
const OUT_AT = ring.offsetOf('out');
const IN_BYTES = OUT_AT - IN_AT;
const OUT_BYTES = ring.offsetOf('in_cons') - OUT_AT;

const END = 'console';

export interface ConsoleRing {
  /** The ring is in the page at that RAM address from now on. Answers the guest's port, a new one. */
  open(page: number): number;
}

/** Counters run freely, indexes are modulo the size. What is typed goes here. */
export function consoleRing(domain: XenDomain): ConsoleRing {
  const { ram, console, snapshots } = domain.platform;
  /** RAM address of the page, -1 before there is one. */
  const state = { page: -1, port: 0 };
  snapshots.addState('xen.console', state);
  const counter = (name: 'in_cons' | 'in_prod' | 'out_cons' | 'out_prod') =>
    state.page + ring.offsetOf(name);
  const read = (name: Parameters<typeof counter>[0]) => ram.u32(counter(name)) >>> 0;
  const drain = () => {
    if (state.page < 0) return;
    const produced = read('out_prod');
    let consumed = read('out_cons');
    // A guest that has produced more than there is room for has overwritten it: the newest bytes are what is left.
    if ((produced - consumed) >>> 0 > OUT_BYTES) consumed = (produced - OUT_BYTES) >>> 0;
    if (consumed === produced) return;
    for (; consumed !== produced; consumed = (consumed + 1) >>> 0)
      console.transmit(ram.u8(state.page + OUT_AT + (consumed % OUT_BYTES)));
    ram.setU32(counter('out_cons'), produced);
    raise(domain, state.port);
  };
  domain.ends.set(END, drain);
  const free = () => {
    if (state.page < 0) return 0;
    const used = (read('in_prod') - read('in_cons')) >>> 0;
    return used > IN_BYTES ? 0 : IN_BYTES - used;
  };
  console.connect({
    room: free,
    receive(bytes) {
      const count = Math.min(bytes.length, free());
      if (count === 0) return;
      const from = read('in_prod');
      for (let n = 0; n < count; n++)
        ram.setU8(state.page + IN_AT + (((from + n) >>> 0) % IN_BYTES), bytes[n]!);
      ram.setU32(counter('in_prod'), (from + count) >>> 0);
      raise(domain, state.port);
    },
  });
  return {
    open(page) {
      Object.assign(state, { page, port: openHostPort(domain, END) });
      return state.port;
    },
  };
}
