// The page of calls that older kernels ask for, one slot of 32 bytes for each number.

import { HYPERVISOR_iret } from './abi.ts';

const SLOT_BYTES = 32;
const SLOTS = 4096 / SLOT_BYTES;
const INT3 = 0xcc;

/** `mov eax, n; int 0x82; ret`; iret: `push eax; mov eax, 23; int 0x82` (Xen 4.17, x86_64/compat/entry.S and its C). */
export function hypercallPage32(): Uint8Array {
  return pageOf((n, number) =>
    n === HYPERVISOR_iret
      ? [0x50, 0xb8, ...number, 0xcd, 0x82]
      : [0xb8, ...number, 0xcd, 0x82, 0xc3],
  );
}

/** `push rcx; push r11; mov eax, n; syscall; pop r11; pop rcx; ret`; iret is jumped to and leaves its frame complete. */
export function hypercallPage64(): Uint8Array {
  return pageOf((n, number) =>
    n === HYPERVISOR_iret
      ? [0x51, 0x41, 0x53, 0x50, 0xb8, ...number, 0x0f, 0x05]
      : [0x51, 0x41, 0x53, 0xb8, ...number, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3],
  );
}

function pageOf(slot: (n: number, number: readonly number[]) => readonly number[]): Uint8Array {
  const page = new Uint8Array(SLOTS * SLOT_BYTES).fill(INT3);
  for (let n = 0; n < SLOTS; n++) page.set(slot(n, [n, 0, 0, 0]), n * SLOT_BYTES);
  return page;
}
