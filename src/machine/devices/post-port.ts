// Ports 0x80 and 0xed: diagnostic codes, and the writes that kernels use as a short delay.

import { defineDevice } from '../device.ts';

export const postPort = defineDevice({
  name: 'post-port',
  ref: 'IBM PC/AT Technical Reference, I/O address map (manufacturing checkpoint)',
  claims: {
    pio: [
      [0x80, 1],
      [0xed, 1],
    ],
  },
  state: () => ({ code: 0 }),
  plug({ state }: { state: { code: number } }) {
    return {
      pio: [
        {
          // It is an unused page register of the DMA controller: it reads back.
          read: () => state.code,
          write(_offset: number, value: number) {
            state.code = value;
          },
        },
        { read: () => 0xff, write: () => {} },
      ],
      face: { lastCode: () => state.code },
    };
  },
});
