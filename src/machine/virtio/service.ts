// Serves one queue, a chain at a time: each completes at submission plus a latency that the device computes.

import type { VirtioPort } from './define.ts';
import type { Chain } from './queue.ts';

export interface ServiceState {
  /** Head of the chain being served, or -1. The chain is read again when it completes. */
  head: number;
}

export interface Service {
  kick(): void;
  reset(): void;
}

export interface ServiceWork {
  readonly queue: number;
  /** Nanoseconds until the chain is done. */
  latency(chain: Chain): number;
  /** Does the work and answers how many bytes were written, or null when the device has failed. */
  complete(chain: Chain): number | null;
}

export const serviceState = (): ServiceState => ({ head: -1 });

/** One chain per timer: however many a driver submits, a notification costs one walk. */
export function serve(port: VirtioPort, state: ServiceState, work: ServiceWork): Service {
  const { clock } = port;
  const queue = port.queue(work.queue);
  const timer = clock.timer(`${port.id}.queue${work.queue}`, () => {
    const { head } = state;
    state.head = -1;
    if (head < 0 || !port.running()) return;
    const chain = queue.chain(head);
    const written = chain === null ? null : work.complete(chain);
    if (written === null) return;
    queue.push(head, written);
    queue.signal();
    kick();
  });
  const kick = () => {
    if (state.head >= 0 || !port.running()) return;
    const chain = queue.pop();
    if (chain === null) return;
    state.head = chain.head;
    timer.set(clock.now() + work.latency(chain));
  };
  return {
    kick,
    reset() {
      state.head = -1;
      timer.cancel();
    },
  };
}
