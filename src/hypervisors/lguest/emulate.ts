// Instructions of the guest's kernel that the host does for it: ports, which nobody has.

import { hex, killGuest, type LguestHost } from './host.ts';
import { guestPa } from './walk.ts';

const RAX = 0;
const OPERAND_SIZE = 0x66;
/** IN and OUT, by immediate and by DX: their bytes behind a prefix. The low bit of the opcode is the width. */
const PORT_BYTES: Readonly<Record<number, number>> = { 228: 2, 230: 2, 236: 1, 238: 1 };
const IN: ReadonlySet<number> = new Set([0xe4, 0xec]);

/** Ports read as all ones, and writes vanish. False: the instruction is another. */
export function emulatePort(host: LguestHost): boolean {
  const { cpu } = host;
  const prefixed = codeByte(host, 0) === OPERAND_SIZE;
  const opcode = codeByte(host, prefixed ? 1 : 0);
  const bytes = PORT_BYTES[opcode & 0xfe];
  if (bytes === undefined) return false;
  if (IN.has(opcode & 0xfe)) {
    // Deviates: the real host set 16 bits for a byte, and all 32 for a word.
    const ones = (opcode & 1) === 0 ? 0xff : prefixed ? 0xffff : 0xffffffff;
    cpu.state.setGpr32(RAX, (cpu.state.gpr32(RAX) | ones) >>> 0);
  }
  cpu.complete(bytes + (prefixed ? 1 : 0));
  return true;
}

/** A byte of the instruction at EIP, by the guest's tables; 0 if the guest is dead. */
function codeByte(host: LguestHost, n: number): number {
  const gpa = guestPa(host, (host.cpu.state.get('rip') + n) >>> 0);
  if (gpa < 0) return 0;
  const byte = host.memory.u8(gpa);
  if (byte < 0) killGuest(host, `bad read address ${hex(gpa)} len 1`);
  return Math.max(byte, 0);
}
