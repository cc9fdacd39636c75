// The firmware's debug console: a port that takes log bytes and tells by its value that it is there.

import { defineDevice } from '../device.ts';

/** What a read gives, so that firmware knows that somebody listens (Bochs, port 0xe9 hack; QEMU isa-debugcon). */
const PRESENT = 0xe9;

export const debugConsole = defineDevice({
  name: 'debug-console',
  ref: 'QEMU hw/char/debugcon.c (7.2)',
  claims: { pio: [[0x402, 1]] },
  state: () => ({}),
  plug: ({ transmit }: { state: object; transmit(byte: number): void }) => ({
    pio: [{ read: () => PRESENT, write: (_offset: number, value: number) => transmit(value) }],
    face: {},
  }),
});
