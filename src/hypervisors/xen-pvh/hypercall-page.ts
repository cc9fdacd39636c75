// The hypercall page: small functions that make a call, written where the guest asks by an MSR.

import type { GuestRam } from '../../machine/memory.ts';

const PAGE_BYTES = 4096;
const SLOT_BYTES = 32;
/** Call 23 (iret) is not for such guests. */
const IRET = 23;

/** mov eax, number; vmmcall; ret. Our processor is of AMD's family, where VMMCALL is the instruction. */
export function writeHypercallPage(ram: GuestRam, gpa: number): boolean {
  const page = new Uint8Array(PAGE_BYTES).fill(0xcc);
  for (let number = 0; number < PAGE_BYTES / SLOT_BYTES; number++) {
    const code = number === IRET ? [0x0f, 0x0b] : [0xb8, number, 0, 0, 0, 0x0f, 0x01, 0xd9, 0xc3];
    page.set(code, number * SLOT_BYTES);
  }
  return ram.write(gpa, page);
}
