// The guest's IDT as the host keeps it, and how a handler of it is entered.

import { EFLAGS_IF, EFLAGS_NT, EFLAGS_RF, EFLAGS_TF, EFLAGS_VM } from '../../cpu/control-bits.ts';
import { readFlags, writeFlags } from '../../cpu/flags.ts';
import { FIELDS, GPR_AT } from '../../cpu/state.ts';
import { LGUEST_TRAP_ENTRY } from './abi.ts';
import { fromGuestUser, KERNEL_CS } from './descriptors.ts';
import {
  badWrite,
  DATA,
  IDT_ENTRIES,
  killGuest,
  type LguestHost,
  readData,
  writeData,
  writeGuest,
} from './host.ts';
import { guestPa } from './walk.ts';

/** Words of the state. */
const RSP = (GPR_AT >> 2) + 2 * 4;
const RIP = FIELDS.rip.at >> 2;
const RF_AT = FIELDS.rfAt.at >> 2;
const CS_SELECTOR = FIELDS.csSelector.at >> 2;
const SS_SELECTOR = FIELDS.ssSelector.at >> 2;
const PAGE_SHIFT = 12;
const INTERRUPT_GATE = 0xe;
const TRAP_GATE = 0xf;
const HI_PRESENT = 0x8000;
const HI_DPL_SHIFT = 13;
/** Vectors that the host keeps: NMI, double fault, the spurious one, its own (load_guest_idt_entry, 2.6.32). */
const KEPT: ReadonlySet<number> = new Set([2, 8, 15, LGUEST_TRAP_ENTRY]);
export const FIRST_EXTERNAL_VECTOR = 32;
/** Exceptions that the host looks at first, so that no INT n may raise them (direct_trap, 2.6.32). */
const NOT_BY_SOFTWARE: ReadonlySet<number> = new Set([6, 7, 13, 14, LGUEST_TRAP_ENTRY]);
/** What the processor clears when it takes an exception. SDM 3A 6.12.1.3. */
const CLEARED = EFLAGS_TF | EFLAGS_NT | EFLAGS_RF | EFLAGS_VM;

/** LOAD_IDT_ENTRY. */
export function loadIdtEntry(host: LguestHost, vector: number, lo: number, hi: number): void {
  if (KEPT.has(vector)) return;
  if (vector >= IDT_ENTRIES) return killGuest(host, `Setting idt entry ${vector}`);
  const { idtLo, idtHi } = host.state;
  const type = (hi >>> 8) & 0xf;
  if ((hi & HI_PRESENT) === 0) {
    idtLo[vector] = 0;
    idtHi[vector] = 0;
    return;
  }
  if (type !== INTERRUPT_GATE && type !== TRAP_GATE)
    return killGuest(host, `bad IDT type ${type} for vector ${vector}`);
  idtLo[vector] = (KERNEL_CS << 16) | (lo & 0xffff);
  idtHi[vector] = hi & 0xffffef00;
}

export const hasGate = ({ state }: LguestHost, vector: number): boolean =>
  (state.idtHi[vector]! & HI_PRESENT) !== 0;

/** Whether INT n in this ring finds a gate that lets it through. */
export function mayRaise(host: LguestHost, vector: number, ring: number): boolean {
  const { idtHi, syscallVec } = host.state;
  if (NOT_BY_SOFTWARE.has(vector)) return false;
  if (vector >= FIRST_EXTERNAL_VECTOR && vector !== syscallVec) return false;
  return hasGate(host, vector) && ((idtHi[vector]! >>> HI_DPL_SHIFT) & 3) >= ring;
}

/**
 * Goes on at the guest's handler, on the stack that it has named if it comes from user mode. EIP is where it is to come back.
 * Deviates: TF, NT, RF and VM are cleared as the processor does it; the real host left them as they were.
 */
export function enterGate(host: LguestHost, vector: number, error: number | null): void {
  const { cpu, state, vcpuWords, frame } = host;
  // A handler that cannot run its first instruction is entered again and again: time passes, so that the run comes to its end.
  let now = cpu.retired();
  if (state.lastEntry === now) {
    cpu.complete(0);
    now++;
  }
  state.lastEntry = now;
  const user = fromGuestUser(host);
  const flags = readFlags(cpu.state);
  let count = 0;
  if (error !== null) frame[count++] = error;
  frame[count++] = vcpuWords[RIP]!;
  frame[count++] = vcpuWords[CS_SELECTOR]!;
  frame[count++] = virtualInterrupts(host) ? flags | EFLAGS_IF : flags & ~EFLAGS_IF;
  if (user) {
    frame[count++] = vcpuWords[RSP]!;
    frame[count++] = vcpuWords[SS_SELECTOR]!;
  }
  const esp = push(host, user ? state.esp1 : vcpuWords[RSP]!, count);
  if (state.dead || !host.descriptors.enterKernel(user ? state.ss1 : vcpuWords[SS_SELECTOR]!))
    return;
  vcpuWords[RSP] = esp;
  vcpuWords[RSP + 1] = 0;
  vcpuWords[RIP] = handlerOf(host, vector);
  vcpuWords[RIP + 1] = 0;
  writeFlags(cpu.state, EFLAGS_IF, CLEARED | EFLAGS_IF);
  vcpuWords[RF_AT] = 0;
  vcpuWords[RF_AT + 1] = 0;
  if (((state.idtHi[vector]! >>> 8) & 0xf) === INTERRUPT_GATE && state.data >= 0)
    writeData(host, DATA.irq_enabled, 0);
}

/** The guest's own flag: only the bit that EFLAGS has it in counts, since an iret stores the whole image. */
export function virtualInterrupts(host: LguestHost): boolean {
  return host.state.data >= 0 && (readData(host, DATA.irq_enabled) & EFLAGS_IF) !== 0;
}

/**
 * Pushes what `host.frame` holds, and answers where ESP is then. By the guest's own tables, whatever the shadow says, and
 * whoever may write there (push_guest_stack, 2.6.32): word by word, the last one first, which is the same within a page.
 */
function push(host: LguestHost, top: number, count: number): number {
  const { frame, memory, state } = host;
  // Signed: V8 makes an object of a number beyond that.
  const esp = (top - 4 * count) | 0;
  const highest = (top - 4) | 0;
  if (highest >>> PAGE_SHIFT === esp >>> PAGE_SHIFT) {
    const gpa = guestPa(host, highest);
    if (gpa >= 0 && !memory.setWords(gpa - 4 * (count - 1), frame, count)) badWrite(host, gpa);
    return esp;
  }
  for (let n = 1; n <= count && !state.dead; n++) {
    const gpa = guestPa(host, (top - 4 * n) >>> 0);
    if (gpa >= 0) writeGuest(host, gpa, frame[count - n]!);
  }
  return esp;
}

const handlerOf = ({ state }: LguestHost, vector: number): number =>
  (state.idtHi[vector]! & 0xffff0000) | (state.idtLo[vector]! & 0xffff);
