// How the probe kernel calls Xen from either word size: by the page of calls, at once or from a queue that one multicall empties.

import { bug } from '../../base/errors.ts';
import type { GuestCode, GuestOperation, GuestRegister } from '../../ops/index.ts';
import { DOMID_SELF, multicallEntry } from '../xen/abi/xen.ts';
import * as abi from './abi.ts';
import { PV_CALLS } from './calls.ts';

export type Bits = 32 | 64;

/** Registers of arguments in their order (arch-x86/xen-x86_32.h, xen-x86_64.h). */
const ARGUMENTS = {
  32: ['ebx', 'ecx', 'edx', 'esi', 'edi'],
  64: ['rdi', 'rsi', 'rdx', 'r10', 'r8'],
} as const;
export const FIRST = { 32: 'ebx', 64: 'rdi' } as const;
export const CALL_CLOBBERS: Readonly<Record<Bits, readonly GuestRegister[]>> = {
  32: ['bx', 'si', 'di'],
  64: ['bx', 'si', 'di', 'r8', 'r9', 'r10', 'r11'],
};
const CALL_SLOT_LOG2 = 5;
/** Calls that wait at most, as in Linux 6.1, xen/multicalls.c; each with room for a structure of its argument, or for two updates. */
export const QUEUE_CALLS = 32;
const [ARGUMENT_BYTES, UPDATE_BYTES] = [32, abi.MMU_UPDATE_BYTES];
export const ARGUMENTS_BYTES = QUEUE_CALLS * ARGUMENT_BYTES;
const ENTRY_LOG2 = { 32: 5, 64: 6 } as const;
export const ENTRY_BYTES = multicallEntry.wide.size;
export const LAZY = { mmu: 1, cpu: 2 } as const;
/** In the number of a call that may wait: the lazy mode in which it does. */
const MODE_SHIFT = 16;
/** How the guest maps itself: P, RW, US, A, D. */
export const [MAP_RW, MAP_RO] = [0x67, 0x65];
export const MACH2PHYS = { 32: '0xf5800000', 64: '0xffff800000000000' } as const;

export type Argument = string | number | null;

const numberOf = (name: string): number =>
  [...PV_CALLS.values()].find((call) => call.name === name)?.number ??
  bug(`there is no hypercall ${name}`);

/** Arguments that are null are in their registers already. */
function load(bits: Bits, args: readonly Argument[]): string {
  const loads = args.map((value, n) =>
    value === null ? '' : `mov ${ARGUMENTS[bits][n]}, ${value}; `,
  );
  return loads.join('');
}

/** A call that is made at once. */
export const hypercall = (bits: Bits, name: string, ...args: readonly Argument[]): string =>
  `${load(bits, args)}mov eax, ${numberOf(name)}; call xen_pv.call_now`;

/** One that may wait while that lazy mode is on; calls that wait are made in their order. */
export const lazyCall = (
  bits: Bits,
  mode: keyof typeof LAZY,
  name: string,
  ...args: readonly Argument[]
): string =>
  `${load(bits, args)}mov eax, ${numberOf(name) | (LAZY[mode] << MODE_SHIFT)}; call xen_pv.call`;

/** The first argument := room for a structure that waits with its call. */
export const ARGUMENT = {
  32: 'mov ebx, [xen_pv.argument_bytes]; add ebx, xen_pv.arguments',
  64: 'mov edi, [xen_pv.argument_bytes]; add edi, xen_pv.arguments',
} as const;

/** An operation of one word size. */
export const callOp =
  (bits: Bits) =>
  (text: string, by: string, more: Partial<GuestOperation> = {}): GuestOperation => ({
    emit: (code) => code.text(text),
    clobbers: CALL_CLOBBERS[bits],
    by,
    ...more,
  });

/** What the texts of calls jump to. */
export function emitCalls(code: GuestCode): void {
  const { bits } = code;
  const [queue, done, now] = ['queue', 'done', 'now'].map((stem) => code.fresh(stem));
  const [, second] = ARGUMENTS[bits];
  code.text(`xen_pv.call_now:; shl eax, ${CALL_SLOT_LOG2}; add eax, xen_pv.calls; jmp {ax}`);
  code.text(`xen_pv.call:; cmp dword ptr [xen_pv.lazy], 0; jne ${queue}`);
  code.text(`${now}:; and eax, 0xffff; jmp xen_pv.call_now; ${queue}:; push {bp}`);
  code.text(`mov ebp, [xen_pv.queued]; shl ebp, ${ENTRY_LOG2[bits]}; add ebp, xen_pv.entries`);
  code.text('push {ax}; and eax, 0xffff; mov [{bp}], {ax}; pop {ax}');
  for (const [n, register] of ARGUMENTS[bits].entries())
    code.text(`mov [{bp}+${(2 + n) * (bits / 8)}], ${register}`);
  code.text(`pop {bp}; inc dword ptr [xen_pv.queued]; mov dword ptr [xen_pv.last_count], 0`);
  code.text(`add dword ptr [xen_pv.argument_bytes], ${ARGUMENT_BYTES}; shr eax, ${MODE_SHIFT}`);
  code.text(`test [xen_pv.lazy], eax; je xen_pv.flush`);
  code.text(`cmp dword ptr [xen_pv.argument_bytes], ${ARGUMENTS_BYTES}; jae xen_pv.flush; ret`);
  code.text(`xen_pv.flush:; mov eax, [xen_pv.queued]; test eax, eax; je ${done}`);
  for (const name of ['queued', 'argument_bytes', 'last_count'])
    code.text(`mov dword ptr [xen_pv.${name}], 0`);
  code.text(
    `mov ${second}, {ax}; ${hypercall(bits, 'multicall', 'xen_pv.entries')}; ${done}:; ret`,
  );
  emitUpdate(code);
}

/**
 * Of the update that the first argument points to: one more of the call before it, if that is the same and waits
 * (Linux 6.1, xen/mmu_pv.c, xen_extend_mmu_update), or a call of its own.
 */
function emitUpdate(code: GuestCode): void {
  const { bits } = code;
  const [fresh, done] = [code.fresh('fresh'), code.fresh('fresh')];
  const call = lazyCall(bits, 'mmu', 'mmu_update', null, 1, 0, DOMID_SELF);
  const countAt = 3 * (bits / 8) - (1 << ENTRY_LOG2[bits]);
  code.text(`xen_pv.update:; mov ecx, [xen_pv.last_count]; test ecx, ecx; je ${fresh}`);
  code.text(`inc dword ptr [{cx}]; add dword ptr [xen_pv.argument_bytes], ${UPDATE_BYTES}`);
  code.text(`cmp dword ptr [xen_pv.argument_bytes], ${ARGUMENTS_BYTES}; jae xen_pv.flush; ret`);
  code.text(`${fresh}:; ${call}; mov eax, [xen_pv.queued]; test eax, eax; je ${done}`);
  code.text(`shl eax, ${ENTRY_LOG2[bits]}; add eax, xen_pv.entries; add eax, ${countAt}`);
  code.text('mov [xen_pv.last_count], eax');
  code.text(
    `sub dword ptr [xen_pv.argument_bytes], ${ARGUMENT_BYTES - UPDATE_BYTES}; ${done}:; ret`,
  );
}
