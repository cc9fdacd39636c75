// Forms that many PVH programs have: parameters, structures for 32-bit calls, ports, what the start of day left.

import { CALL, DOMID_SELF, lines } from './forms.ts';
import * as at from './layout.ts';
import { hex, type Value } from './program.ts';
import type { PvhParts } from './pvh-program.ts';

/** Two 32-bit numbers in a word. */
export const pair = (low: number, high: number): bigint => (BigInt(high) << 32n) | BigInt(low);

/** xen/include/public/hvm/params.h */
export const PARAM = { callback: 0, storePort: 2, sState: 14, consolePort: 18 } as const;
/** The vector of upcalls in these programs, and the parameter that says so: type 2 in the top byte. */
export const VECTOR = 0xf3;
export const byVector = (vector: number): bigint => (2n << 56n) | BigInt(vector);

export const setParam = (p: PvhParts, index: number, value: Value, domid = DOMID_SELF): string =>
  lines(
    p.store(p.page(0), pair(domid, index)),
    p.store(p.page(0) + 8, value),
    p.call(CALL.hvm_op, 0, p.page(0)),
  );

/** Keeps the error only: values are addresses, often. */
export const getParam = (p: PvhParts, index: number, domid = DOMID_SELF): string =>
  lines(p.store(p.page(0), pair(domid, index)), p.call(CALL.hvm_op, 1, p.page(0)));

/** Upcalls by the vector. */
export const upcalls = (p: PvhParts): string => setParam(p, PARAM.callback, byVector(VECTOR));

/** Binds an IPI; its port is at page 2. */
export const bindIpi = (p: PvhParts): string =>
  lines(p.store(p.page(1), 0), p.call(CALL.event_channel_op, 7, p.page(1)), portTo(p, 1, 4));
/** Binds VIRQ_TIMER (0) of vCPU 0; its port is at page 2. */
export const bindTimer = (p: PvhParts): string =>
  lines(
    p.store(p.page(1), 0),
    p.store(p.page(1) + 8, 0),
    p.call(CALL.event_channel_op, 1, p.page(1)),
    portTo(p, 1, 8),
  );
const portTo = (p: PvhParts, n: number, offset: number): string =>
  `mov rbx, ${hex(p.page(n))}; mov eax, [rbx + ${offset}]; mov rbx, ${hex(p.page(2))}; mov [rbx], rax`;
/** Operations on the port at page 2. */
export const send = (p: PvhParts): string => p.call(CALL.event_channel_op, 4, p.page(2));
export const close = (p: PvhParts): string => p.call(CALL.event_channel_op, 3, p.page(2));
export const unmask = (p: PvhParts): string => p.call(CALL.event_channel_op, 9, p.page(2));

/** shared_info of 64-bit guests (xen.h): evtchn_pending, evtchn_mask, wc_version. */
export const PENDING = at.SHARED_INFO + 0x800;
export const MASK = at.SHARED_INFO + 0xa00;
/** The bit of the port at page 2, in such an array. */
export const portBit = (p: PvhParts, insn: 'bts' | 'btr', array: number): string =>
  `mov rbx, ${hex(p.page(2))}; mov eax, [rbx]; mov rbx, ${hex(array)}; ${insn} [rbx], rax`;

/** A 32-bit word of memory. */
export const keep32 = (p: PvhParts, va: number): string =>
  `mov rbx, ${hex(va)}; mov eax, [rbx]; ${p.keep('rax')}`;

/** A field of 4 or 8 bytes of hvm_start_info. */
export const startField = (p: PvhParts, offset: number, bytes: 4 | 8 = 8): string =>
  `mov rbx, ${hex(at.START_INFO)}; mov rbx, [rbx]; mov ${bytes === 8 ? 'rax' : 'eax'}, [rbx + ${offset}]; ${p.keep('rax')}`;

/** RAX: the address of what a field of hvm_start_info refers to. */
export const startAddress = (offset: number): string =>
  `mov rbx, ${hex(at.START_INFO)}; mov rbx, [rbx]; mov rax, [rbx + ${offset}]; call address_of`;

/** An address right below 4 GiB, as the guest has it mapped. */
export const top = (physical: number): number => physical - 2 ** 32;

/** vcpu_info.time of vCPU 0 tells the time in nanoseconds by a call (HVMOP_get_time); RAX. */
export const now = (p: PvhParts): string =>
  `mov rsi, ${hex(p.page(3))}; mov edi, 10; mov eax, ${CALL.hvm_op}; call hypercall; mov rax, [rsi]`;

/** VIRQ_TIMER comes in so many nanoseconds (VCPUOP_set_singleshot_timer). */
export const singleShot = (p: PvhParts, nanoseconds: number): string =>
  lines(
    `${now(p)}; add rax, ${nanoseconds}; mov rbx, ${hex(p.page(4))}; mov [rbx], rax; mov dword ptr [rbx + 8], 0`,
    p.call(CALL.vcpu_op, 8, 0, p.page(4)),
  );
