// The page of calls that older kernels ask for, one slot of 32 bytes for each number.

import { HYPERVISOR_iret } from './abi.ts';

const SLOT_BYTES = 32;
const SLOTS = 4096 / SLOT_BYTES;
const INT3 = 0xcc;

/** `push rcx; push r11; mov eax, n; syscall; pop r11; pop rcx; ret`; iret is jumped to and leaves its frame complete. */
export function hypercallPage64(): Uint8Array {
  const page = new Uint8Array(SLOTS * SLOT_BYTES).fill(INT3);
  for (let n = 0; n < SLOTS; n++) {
    const number = [n, 0, 0, 0];
    const code =
      n === HYPERVISOR_iret
        ? [0x51, 0x41, 0x53, 0x50, 0xb8, ...number, 0x0f, 0x05]
        : [0x51, 0x41, 0x53, 0xb8, ...number, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3];
    page.set(code, n * SLOT_BYTES);
  }
  return page;
}
