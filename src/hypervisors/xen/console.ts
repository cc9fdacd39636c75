// The far end of a guest's console ring: what it prints goes to the run's console, what is typed comes back.

import type { ConsoleEnd } from '../../machine/console-ends.ts';
import { xenconsInterface } from './abi/io.ts';
import type { XenDomain } from './domain.ts';
import { openHostPort, raise } from './events.ts';
import { distance } from './ring-index.ts';

const RING = xenconsInterface.wide;
const IN_BYTES = 1024;
const OUT_BYTES = 2048;
const END = 'console';

/** RAM address of the ring's page, and the guest's port. */
export interface ConsoleState {
  page: number;
  port: number;
}

/** Connects the run's console to a ring in the page at that RAM address. Answers the port. */
export function connectConsole(domain: XenDomain, page: number): number {
  const { platform } = domain;
  const state: ConsoleState = { page, port: openHostPort(domain, END) };
  platform.snapshots.addState('xen.console', state);
  domain.ends.set(END, () => drain(domain, state));
  platform.console.connect(typed(domain, state));
  return state.port;
}

/** The port is a new one after the guest has closed all, as it does when it resumes. */
export function reopenConsole(domain: XenDomain): number {
  return openHostPort(domain, END);
}

/** A guest whose producer has run away from its consumer has lost what was between them. */
function drain(domain: XenDomain, { page, port }: ConsoleState): void {
  const { ram, console } = domain.platform;
  const consAt = page + RING.offsetOf('out_cons');
  const prod = ram.u32(page + RING.offsetOf('out_prod'));
  const waiting = distance(prod, ram.u32(consAt), OUT_BYTES);
  const out = page + RING.offsetOf('out');
  for (let n = waiting; n > 0; n--) console.transmit(ram.u8(out + ((prod - n) & (OUT_BYTES - 1))));
  ram.setU32(consAt, prod);
  if (waiting > 0) raise(domain, port);
}

function typed(domain: XenDomain, { page, port }: ConsoleState): ConsoleEnd {
  const { ram } = domain.platform;
  const prodAt = page + RING.offsetOf('in_prod');
  const room = () => {
    const used = (ram.u32(prodAt) - ram.u32(page + RING.offsetOf('in_cons'))) >>> 0;
    return used > IN_BYTES ? 0 : IN_BYTES - used;
  };
  return {
    room,
    receive(bytes) {
      let prod = ram.u32(prodAt);
      const count = Math.min(bytes.length, room());
      for (let n = 0; n < count; n++, prod++) {
        ram.setU8(page + RING.offsetOf('in') + (prod & (IN_BYTES - 1)), bytes[n]!);
      }
      ram.setU32(prodAt, prod >>> 0);
      raise(domain, port);
    },
  };
}
