// What guests on a PC with hardware paging have alike: the serial port, the local APIC's timer, ring 0.

import type { GuestBinding } from '../../ops/index.ts';

/** Local APIC, memory-mapped where reset leaves it (SDM 3A 11.4.1). */
export const APIC = 0xfee00000;
const [APIC_EOI, APIC_TMICT] = [0xb0, 0x380];
export const CLOCK_VECTOR = 0x20;
const COM1 = 0x3f8;
/** PC16550D datasheet 8.4: room for the next byte; nothing on its way any more. */
const LSR_TX_EMPTY = 0x20;
const LSR_TX_IDLE = 0x40;
const NEWLINE = 10;

export const storeApic = (register: number, value: number): string =>
  `mov {ax}, 0x${(APIC + register).toString(16)}; mov dword ptr [{ax}], ${value}`;

export const APIC_END_OF_INTERRUPT = storeApic(APIC_EOI, 0);

export const nativePc: Pick<GuestBinding, 'bits' | 'traits' | 'console' | 'clock'> = {
  bits: [32, 64],
  traits: {
    kernelRing: 0,
    pageTables: 'hardware',
    pc: true,
    privileged: 'native',
    patching: 'inline',
  },
  console: {
    emit(code) {
      const [wait, drain, done] = ['uart', 'uart', 'uart'].map((stem) => code.fresh(stem));
      code.text(`mov ah, al; mov edx, ${COM1 + 5}; ${wait}:; in al, dx; test al, ${LSR_TX_EMPTY}`);
      code.text(`je ${wait}; mov al, ah; mov edx, ${COM1}; out dx, al; cmp ah, ${NEWLINE}`);
      // What a machine that is switched off has still to send is lost: a line is on its way before the kernel goes on.
      code.text(`jne ${done}; mov edx, ${COM1 + 5}; ${drain}:; in al, dx; test al, ${LSR_TX_IDLE}`);
      code.text(`je ${drain}; ${done}:`);
    },
  },
  clock: {
    vector: CLOCK_VECTOR,
    // A nanosecond is a tick of the APIC's bus here; elsewhere it is what it is.
    arm: (code) => code.text(`mov edx, ${APIC + APIC_TMICT}; mov [{dx}], eax`),
    acknowledge: (code) => code.text(APIC_END_OF_INTERRUPT),
  },
};
