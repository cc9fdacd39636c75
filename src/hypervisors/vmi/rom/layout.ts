// Where the VMI ROM lies and what is where in it: header, the two bootstrap entries, a stub for each call.

/** On a 2 KiB step of the guest's scan from 0xc0000 to 0xdffff, behind the place of a video BIOS (vmi.md 2). */
export const ROM_AT = 0xd0000;
export const ROM_BYTES = 0x1000;
/** struct vrom_header: vmi_init and get_reloc, which are code. */
export const INIT_AT = 0x80;
export const RELOC_AT = 0x88;
const STUBS_AT = 0x200;
/** 32 bytes a stub, VROM_CALL_LEN of VMware's own ROMs; traces find the caller behind slots of this size (lab/trace/call-sites.ts). */
const STUB_SHIFT = 5;
/** VMCALL (SDM 3C). */
export const TRAP_BYTES = 3;
/** Calls are numbered from 0 to this, in API 3.0. */
export const CALLS_END = 74;

/** The two entries that have no number. */
export const INIT = -1;
export const GET_RELOC = -2;

export const stubAt = (call: number): number => STUBS_AT + (call << STUB_SHIFT);

/** The call whose trap is at this offset in the ROM; null: none is. */
export function callAt(offset: number): number | null {
  if (offset === INIT_AT) return INIT;
  if (offset === RELOC_AT) return GET_RELOC;
  const call = (offset - STUBS_AT) >> STUB_SHIFT;
  return call >= 0 && call < CALLS_END && stubAt(call) === offset ? call : null;
}
